/**
 * Which backbone a checkpoint of adapters stands on: `backbone.json`.
 *
 * The weights are recognised by themselves, not by their files: a backbone may move, be cut into shards
 * or be converted from PyTorch's format, and is still the one. With any other weight in any place it is
 * another, which a checkpoint refuses.
 */

import { UserError } from "../errors.ts";
import { sha256 } from "../io/digest.ts";
import { parseJsonObject } from "../io/json.ts";
import type { Weights } from "./weights.ts";

/** Where a backbone was, and how to know it. */
export interface BackboneReference {
  /** Where its directory was. */
  readonly model: string;
  /** The {@linkcode fingerprint} of its weights. */
  readonly fingerprint: string;
}

/**
 * The SHA-256, in hexadecimal, of the list of all tensors: name, type, shape and SHA-256 of the elements.
 * Reads all of them, one after another.
 *
 * @param weights by parameter name, so that aliases in the files make no difference
 */
export async function fingerprint(weights: Weights): Promise<string> {
  const lines: Promise<string>[] = [];
  for (const [name, tensor] of [...weights].sort(([a], [b]) => a < b ? -1 : 1)) {
    const { dtype, shape } = tensor;
    const bytes = await tensor.read(); // while the one before is hashed
    await lines.at(-1);
    lines.push(sha256(bytes).then((hash) => JSON.stringify([name, dtype, shape, hash])));
  }
  return await sha256(new TextEncoder().encode((await Promise.all(lines)).join("\n")));
}

/** Reads a `backbone.json`; `file` is its name, for errors. */
export function parseReference(bytes: Uint8Array, file: string): BackboneReference {
  const { model, fingerprint } = parseJsonObject(bytes, file);
  if (typeof model !== "string" || typeof fingerprint !== "string") {
    throw new UserError(`${file} must name a model and the fingerprint of its weights`);
  }
  return { model, fingerprint };
}

/** Checks that a checkpoint stands on this very model. @throws {UserError} if the weights differ */
export function checkBackbone(
  expected: BackboneReference,
  { model, fingerprint }: BackboneReference,
  checkpoint: string,
): void {
  if (fingerprint === expected.fingerprint) return;
  throw new UserError(
    `${checkpoint} was trained on other weights than those of ${model} (fingerprint ` +
      `${fingerprint}): it needs those of fingerprint ${expected.fingerprint}`,
  );
}
