/** The shipped fixtures as the verification reads them, with some of their files changed. */

import {
  fromFloat32,
  readSafetensors,
  toFloat32,
  writeSafetensors,
} from "../../src/io/safetensors.ts";
import type { FixtureFiles } from "../../src/verify/fixture.ts";

const GOLDEN = new URL("../fixtures/golden/", import.meta.url);

/** What a file becomes; undefined removes it. */
export type Change = (bytes: Uint8Array) => Uint8Array | undefined;

/** The files of a shipped case. */
export function golden(name: string, changes: Readonly<Record<string, Change>> = {}): FixtureFiles {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    const bytes = await Deno.readFile(new URL(`${name}/${path}`, GOLDEN)).catch(() => undefined);
    return bytes && changes[path] ? changes[path](bytes) : bytes;
  };
  return {
    location: name,
    read: async (path) => {
      const bytes = await read(path);
      if (!bytes) throw new Error(`${name}/${path} is not there`);
      return bytes;
    },
    exists: async (path) => await read(path) !== undefined,
  };
}

/** Takes a file away. */
export const removed: Change = () => undefined;

/** Changes a JSON file's object. */
// deno-lint-ignore no-explicit-any -- a parsed file
export function json(change: (object: any) => void): Change {
  return (bytes) => {
    const object = JSON.parse(new TextDecoder().decode(bytes));
    change(object);
    return new TextEncoder().encode(JSON.stringify(object));
  };
}

/** Changes the values of one tensor in a safetensors file. */
export function tensor(name: string, change: (values: Float32Array) => void): Change {
  return (bytes) => {
    const tensors = readSafetensors(bytes, "a fixture");
    const { shape } = tensors.get(name)!;
    const values = toFloat32(tensors.get(name)!, name).slice();
    change(values);
    return writeSafetensors(tensors.set(name, fromFloat32(values, shape)));
  };
}

/** Leaves one tensor of a safetensors file out. */
export function without(name: string): Change {
  return (bytes) => {
    const tensors = readSafetensors(bytes, "a fixture");
    tensors.delete(name);
    return writeSafetensors(tensors);
  };
}
