/**
 * How the attention kernels of a step of decoding are specialised for a size of head.
 */

import { withConstants } from "../constants.ts";
import { widen, widthOf } from "../element.ts";
import type { Shader } from "../tensor.ts";

/** Invocations of a workgroup on CPU adapters: a vector of lanes. */
export const LANES = 8;

/**
 * The most features that an invocation of a CPU adapter sums up. More mean fewer scores computed twice,
 * but code that drivers compile slowly.
 */
const MOST_FEATURES = 64;

/** Invocations that share a head on CPU adapters. */
export function blocksOf(headSize: number): number {
  return Math.ceil(headSize / MOST_FEATURES);
}

/** The shader for heads of `headSize` features, in elements of four where they divide into such. */
export function withHead(shader: Shader, headSize: number): Shader {
  const width = widthOf(headSize);
  const head = headSize / width;
  const widened = widen(shader, width);
  const { source } = withConstants(widened, {
    HEAD: head,
    BLOCKS: blocksOf(headSize),
    BLOCK: Math.min(head, MOST_FEATURES / width),
  });
  return { name: `${widened.name}-${headSize}`, source };
}
