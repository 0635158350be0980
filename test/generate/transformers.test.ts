/**
 * What transformers 4.57 and 5 generate with a small model, field by field of `generation_config.json`, in
 * greedy choice and in beams. Recorded by test/fixtures/transformers/generation/record.py.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { readGenerationConfig, withDefaults } from "../../src/generate/generation-config.ts";
import { SequenceGenerator } from "../../src/generate/generator.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { matchWeights, placeWeights } from "../../src/train/weights.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("what transformers generates");

interface Recorded {
  readonly transformers: string;
  readonly sources: number[][];
  readonly cases: Record<string, {
    readonly options: Record<string, unknown>;
    readonly sequences: number[][];
    readonly scores?: number[];
  }>;
}

const folder = new URL("../fixtures/transformers/generation/", import.meta.url);
const readJson = async (name: string) => JSON.parse(await Deno.readTextFile(new URL(name, folder)));
const fields = await readJson("config.json");
const config = parseConfig(fields, "config.json");
const bytes = await Deno.readFile(new URL("model.safetensors", folder));
const tensors = await openSafetensors(bytesSource("model.safetensors", bytes));
const gpu = await testDevice();
const weights = matchWeights(config, [{ name: "model.safetensors", tensors }]);
const parameters = await placeWeights(gpu, config, weights);
const generator = new SequenceGenerator(config, parameters);

const versions: Recorded[] = await Promise.all(
  ["generated-5.24.0.json", "generated-4.57.6.json"].map(readJson),
);
const [newest, older] = versions;
const { sources } = newest;
const batch = {
  inputIds: Int32Array.from(sources.flat()),
  attentionMask: new Int32Array(sources.flat().length).fill(1),
  batchSize: sources.length,
  sourceLength: sources[0].length,
  tasks: [],
};

for (const [name, { options, ...expected }] of Object.entries(newest.cases)) {
  test(name, async () => {
    const generation = { fields: options, file: "generation_config.json" };
    const defaults = readGenerationConfig(generation, { fields, file: "config.json" });
    assert.equal(defaults.unsupported, []);
    assert.equal(defaults.unknown, []);
    const chosen = withDefaults({}, defaults, 100);
    const rows = await generator.generate(batch, chosen);
    const { endIds = config.endIds } = chosen;
    const found = rows.flat();
    const sequences = found.map(({ tokens, ended }) =>
      ended && !endIds.includes(tokens.at(-1) ?? -1) ? [...tokens, config.eosId] : tokens
    );
    // The older version lacks what it does wrong.
    for (const recorded of [expected, older.cases[name] ?? expected]) {
      assert.equal(sequences, recorded.sequences);
      recorded.scores?.forEach((score, i) => {
        const error = Math.abs(found[i].score - score);
        assert.ok(error < 2e-5 * Math.max(1, Math.abs(score)), `${found[i].score}, not ${score}`);
      });
    }
  });
}

test.after(() => {
  generator.destroy();
  parameters.destroy();
});
test.run();
