/**
 * Runs a search on the device with a made-up language in the decoder's place: after every step the host
 * reads the sequences and gives the logits that follow them.
 */

import { parseConfig } from "../../models/config.ts";
import { BeamSearch } from "../../src/generate/beams.ts";
import { IndependentSearch } from "../../src/generate/independent.ts";
import type { Settings } from "../../src/generate/options.ts";
import type { Progress, Search } from "../../src/generate/search.ts";
import { VariableSet } from "../../src/generate/variable-set.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { compile } from "../../src/graph/compile.ts";
import { input, read } from "../../src/graph/leaves.ts";
import { advance } from "../../src/graph/ops/advance.ts";
import { readVariables } from "../../src/graph/variables.ts";
import { tinyConfig } from "../train/tiny-model.ts";
import { ids, type Language } from "./oracle.ts";

/** What is searched. */
export interface Driven {
  readonly settings: Settings;
  readonly batch: number;
  readonly vocabulary: number;
  readonly language: Language;
  readonly seed?: number;
  /** The rows' numbers: 0, 1, … unless given. */
  readonly rows?: readonly number[];
  /** The rows' sources: one token, the end of it, unless given. */
  readonly sources?: readonly (readonly number[])[];
}

/** Searches until all rows are done or as long as they may be. */
export async function drive(
  gpu: Gpu,
  { settings, batch, vocabulary, language, seed = 0, rows, sources }: Driven,
): Promise<Progress> {
  const config = { ...parseConfig({ ...tinyConfig, vocab_size: vocabulary }, "test"), ...ids };
  const { strategy, maxLength } = settings;
  const variables = new VariableSet(gpu);
  const sourceLength = Math.max(1, ...sources?.map(({ length }) => length) ?? []);
  const shape = { batchSize: batch, sourceLength };
  const search: Search = strategy.kind === "beams"
    ? new BeamSearch(config, { ...settings, strategy }, shape, variables)
    : new IndependentSearch(config, settings, shape, variables);
  const [, , slots] = search.tokens.shape;
  const position = read(variables.create("position", [1], "u32"));
  const logits = input("logits", [batch * slots, vocabulary]);
  const ancestors = search.ancestors;
  const effects = [...search.step(logits, position), advance(position)];
  const program = await compile(gpu, { outputs: {}, effects });
  const everyRow = rows ?? Array.from({ length: batch }, (_, row) => row);
  const padded = Array.from(
    { length: batch * sourceLength },
    (_, i) => (sources?.[Math.floor(i / sourceLength)] ?? [ids.eosId])[i % sourceLength],
  );
  search.reset({
    seed,
    rows: everyRow,
    inputIds: Int32Array.from(padded, (id) => id ?? ids.padId),
    attentionMask: Int32Array.from(padded, (id) => Number(id !== undefined)),
  });

  const state = [search.tokens, ...(ancestors ? [ancestors] : [])]
    .map((leaf) => leaf.node.attributes);
  for (let length = 1;; length++) {
    const progress = search.progress(await readVariables(gpu, search.state), length);
    if (length === maxLength || progress.isDone) {
      program.destroy();
      variables.destroy();
      return progress;
    }
    const [tokens, routes] = await readVariables(gpu, state);
    const given = Array.from({ length: batch * slots }, (_, i) => {
      const row = Math.floor(i / slots);
      const sequence = Array.from({ length }, (_, place) => {
        const slot = routes ? routes[i * maxLength + place] : i % slots;
        return tokens[(row * maxLength + place) * slots + slot];
      });
      return [...language(everyRow[row], sequence)];
    });
    program.submit({ logits: Float32Array.from(given.flat()) });
  }
}
