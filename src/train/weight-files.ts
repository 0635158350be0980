/**
 * The weights in a model's directory, in whichever of the usual files they are.
 *
 * Of several, the first in this order counts: safetensors before PyTorch's format, one file before many.
 * Nothing but descriptions is read.
 */

import { openPytorch } from "../io/pytorch.ts";
import { openSafetensors } from "../io/safetensors.ts";
import { openSharded } from "../io/sharded.ts";
import type { ByteSource, StoredTensor } from "../io/source.ts";
import { ownNames, renamed } from "./tensor-names.ts";
import type { WeightFile } from "./weights.ts";

/** A model's directory, wherever it is. */
export interface ModelSource {
  /** What the user calls it: a path, `miniature`. */
  readonly location: string;
  /** The bytes of a small file in it. */
  read(file: string): Promise<Uint8Array>;
  /** Access to a file in it that may be larger than memory. */
  open(file: string): Promise<ByteSource>;
  /** Whether it has that file. */
  exists(file: string): Promise<boolean>;
}

/** The file of a model's weights as this project writes them. */
export const weightsFile = "model.safetensors";

const formats: readonly {
  readonly file: string;
  readonly open: (source: ByteSource) => Promise<Map<string, StoredTensor>>;
}[] = [
  { file: weightsFile, open: openSafetensors },
  { file: "pytorch_model.bin", open: openPytorch },
];

/**
 * Opens the weights of a directory. Their tensors have the names of the model's, whatever wrapped it.
 *
 * @returns `undefined` if it has none of the usual files
 * @throws {UserError} naming the file that is malformed, or missing from an index
 */
export async function openWeightFile(source: ModelSource): Promise<WeightFile | undefined> {
  const name = (file: string) => `${source.location}/${file}`;
  for (const { file, open } of formats) {
    if (await source.exists(file)) {
      const tensors = await open(await source.open(file));
      return { name: name(file), tensors: renamed(tensors, ownNames(tensors.keys()), name(file)) };
    }
    const index = `${file}.index.json`;
    if (await source.exists(index)) {
      const sharded = await openSharded(
        await source.open(index),
        async (shard) => await source.exists(shard) ? open(await source.open(shard)) : undefined,
      );
      const own = ownNames([...sharded.tensors.keys(), ...sharded.absent.keys()]);
      return {
        name: name(index),
        tensors: renamed(sharded.tensors, own, name(index)),
        absent: renamed(sharded.absent, own, name(index)),
      };
    }
  }
}
