/**
 * Checkpoints in several files, with an index that says which tensor is in which
 * (`model.safetensors.index.json`, `pytorch_model.bin.index.json`).
 *
 * All files are opened, hence their headers checked, before any tensor can be read, and none may hold
 * anything but what the index says of it: a file of another checkpoint is found out, not mixed in.
 */

import { UserError } from "../errors.ts";
import { isJsonObject, parseJsonObject } from "./json.ts";
import type { ByteSource, StoredTensor } from "./source.ts";

/** What the files of an index hold. */
export interface ShardedTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /**
   * Tensors that the index lists and their file lacks, with the file's name. Sound files have such where
   * a tensor has several names: converters to safetensors leave all but one out, yet keep the index.
   */
  readonly absent: ReadonlyMap<string, string>;
}

/**
 * Opens all files of an index.
 *
 * @param index the index file
 * @param open opens the file of that name beside the index; `undefined` if there is none
 * @throws UserError naming the file that is malformed, missing, elsewhere, or not of this checkpoint
 */
export async function openSharded(
  index: ByteSource,
  open: (file: string) => Promise<ReadonlyMap<string, StoredTensor> | undefined>,
): Promise<ShardedTensors> {
  const { weight_map: files } = parseJsonObject(await index.read(0, index.size), index.name);
  if (!isJsonObject(files) || Object.keys(files).length === 0) {
    throw new UserError(`${index.name} has no weight_map from the names of tensors to files`);
  }
  const listed = new Map<string, string[]>();
  for (const [tensor, file] of Object.entries(files)) {
    if (!isPlainName(file)) {
      throw new UserError(
        `${index.name} places the tensor ${tensor} in ${JSON.stringify(file)}, ` +
          `which is not the name of a file beside it`,
      );
    }
    const others = listed.get(file);
    if (others) others.push(tensor);
    else listed.set(file, [tensor]);
  }

  const tensors = new Map<string, StoredTensor>();
  const absent = new Map<string, string>();
  for (const [file, names] of [...listed].sort(([a], [b]) => a < b ? -1 : 1)) {
    const found = await open(file);
    if (found === undefined) {
      throw new UserError(
        `${index.name}: the file ${file}, with ${names.length} of its tensors, is missing: ` +
          `fetch it as well`,
      );
    }
    for (const name of found.keys()) {
      if (files[name] === file) continue;
      const place = typeof files[name] === "string" ? `in ${files[name]}` : "nowhere";
      throw new UserError(
        `${index.name}: ${file} holds the tensor ${name}, which the index has ${place}: ` +
          `are they of one checkpoint?`,
      );
    }
    for (const name of names) {
      const tensor = found.get(name);
      if (tensor) tensors.set(name, tensor);
      else absent.set(name, file);
    }
  }
  return { tensors, absent };
}

/** Whether a value names a file in the same directory, on any system. */
function isPlainName(value: unknown): value is string {
  return typeof value === "string" && /^[^/\\:\p{Cc}]+$/u.test(value) && !/^\.\.?$/.test(value);
}
