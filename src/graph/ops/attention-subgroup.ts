/**
 * Attention in one dispatch forward and one backward, for CPU adapters whose subgroups are a vector of 8 lanes
 * (llvmpipe under Vulkan).
 *
 * Scores stay in registers, so that memory is linear in both lengths. What these kernels cannot do, or
 * what would not be worth their compilation, is left to attention-products.ts.
 */

import diagonalsSource from "../../../shaders/attention-subgroup-diagonals.wgsl" with {
  type: "text",
};
import forwardSource from "../../../shaders/attention-subgroup-forward.wgsl" with {
  type: "text",
};
import gradientSource from "../../../shaders/attention-subgroup-gradient.wgsl" with {
  type: "text",
};
import queryGradientSource from "../../../shaders/attention-subgroup-query-gradient.wgsl" with {
  type: "text",
};
import sharedSource from "../../../shaders/attention-subgroup.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { withConstants } from "../constants.ts";
import { linearGrid } from "../dispatch.ts";
import type { Dispatch, Scratch, Shader, Tensor } from "../tensor.ts";
import {
  type AttentionAttributes,
  type AttentionGradients,
  type AttentionOperands,
  attentionSettings,
  type AttentionSizes,
  attentionSizes,
  type ForwardResults,
} from "./attention-problem.ts";
import { sumBuckets } from "./attention-products.ts";
import { hasBroadcasts } from "./matmul-candidates.ts";
import { adapterOf } from "./matmul-dispatch.ts";
import { bucketed, firstDistances, type PositionBuckets } from "./position-buckets.ts";

/** Lanes of a subgroup, which is a workgroup. */
const LANES = 8;

/** Features of a chunk in the shaders, and the most chunks. */
const CHUNK = 32, MOST_CHUNKS = 2;

/** Iterations after which llvmpipe ends the loops of an invocation. */
const MOST_ITERATIONS = 65535;

/** Storage buffers of the backward kernel: more than some adapters have. */
const GRADIENT_BUFFERS = 12;

/** Slices that should be there for the cores to share; a slice is a head of an element of the batch. */
const ENOUGH_SLICES = 16;

/** Multiply-adds that one core does in the time of a few dispatches. */
const SMALL_WORK = 2 ** 22;

/**
 * Multiply-adds of a backward pass that is worth the compilation of its largest kernels: some ten seconds, where
 * the others take two.
 */
const LARGE_WORK = 2 ** 29;

/** Whether the forward pass of a problem is `forwardSubgroup`'s. */
export function hasForwardSubgroup(sizes: AttentionSizes, gpu: Gpu): boolean {
  const { keyLength, headSize } = sizes;
  return gpu.isCpu && hasBroadcasts(adapterOf(gpu)) && headSize % CHUNK === 0 &&
    headSize <= MOST_CHUNKS * CHUNK && keyLength / LANES <= MOST_ITERATIONS;
}

/** Whether the backward pass of a problem is `backwardSubgroup`'s. */
export function hasBackwardSubgroup(
  sizes: AttentionSizes,
  { heads }: AttentionAttributes,
  gpu: Gpu,
): boolean {
  const { batch, queryLength, headSize } = sizes;
  const { own, keyBlocks } = ownKeys(sizes);
  const queryBlocks = Math.ceil(queryLength / LANES);
  const iterations = (keyBlocks + 1) * (queryBlocks + 1) + 2 * (queryBlocks + own * keyBlocks);
  const iterationsOfDiagonals = batch * (LANES + 1);
  return hasForwardSubgroup(sizes, gpu) &&
    gpu.limits.maxStorageBuffersPerShaderStage >= GRADIENT_BUFFERS &&
    (own === 4 || headSize === CHUNK) &&
    (batch * heads >= ENOUGH_SLICES || workOf(sizes) <= SMALL_WORK) &&
    Math.max(iterations, iterationsOfDiagonals) <= MOST_ITERATIONS;
}

/** The dispatch of the forward pass. */
export function forwardSubgroup(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  results: ForwardResults,
): Dispatch[] {
  const { heads } = attributes;
  const { batch, queryLength, keyLength, inner } = attentionSizes(operands, attributes);
  const own = ownQueries(queryLength);
  return [{
    ...settings(continued("attention-subgroup-forward", forwardSource), own, operands, attributes),
    entry: "forward",
    bindings: { ...operandBindings(operands), ...results },
    workgroups: linearGrid(batch * heads * Math.ceil(queryLength / (LANES * own)), 1),
    flops: 4 * batch * queryLength * keyLength * inner,
  }];
}

/** The dispatches of the backward pass, for the gradients that are wanted. */
export function backwardSubgroup(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  forward: ForwardResults,
  output_gradient: Tensor,
  wanted: AttentionGradients,
): Dispatch[] {
  const { heads, isSelf } = attributes;
  const sizes = attentionSizes(operands, attributes);
  const { batch, queryLength, keyLength, inner } = sizes;
  const { own, keyBlocks } = ownKeys(sizes);
  const queryBlocks = Math.ceil(queryLength / LANES);
  const tiles = queryBlocks + own * keyBlocks - 1;
  // Not left out: one dummy buffer would then stand for several that are written.
  const unused = () => ({ scratchBytes: 16 });
  const diagonal_parts = wanted.table
    ? { scratchBytes: 4 * batch * heads * tiles * LANES ** 2 }
    : unused();
  const shader = continued("attention-subgroup-gradient", queryGradientSource, gradientSource);
  const { constants, uniforms, ...rest } = settings(shader, own, operands, attributes);
  const gradient: Dispatch = {
    ...rest,
    constants: {
      ...constants,
      is_self: Number(isSelf),
      wants_query: Number(wanted.query !== undefined),
      wants_key_value: Number(wanted.keyValue !== undefined),
      wants_table: Number(wanted.table !== undefined),
    },
    uniforms,
    entry: "backward",
    bindings: {
      ...operandBindings(operands),
      ...forward,
      output_gradient,
      query_gradient: !isSelf && wanted.query || unused(),
      key_value_gradient: wanted.keyValue ?? unused(),
      diagonal_parts,
      contexts: { scratchBytes: 4 * batch * heads * queryBlocks * LANES },
    },
    workgroups: linearGrid(batch * heads, 1),
    flops: 10 * batch * queryLength * keyLength * inner,
  };
  if (!wanted.table) return [gradient];
  const count = queryLength + keyLength - 1;
  const diagonals: Scratch = { scratchBytes: 4 * heads * count };
  return [gradient, {
    shader: { name: "attention-subgroup-diagonals", source: diagonalsSource },
    uniforms: { batch, heads, query_length: queryLength, key_length: keyLength, tiles },
    bindings: { diagonal_parts, diagonals },
    workgroups: linearGrid(heads * count, LANES),
    flops: LANES * batch * heads * count,
  }, sumBuckets(operands, attributes, diagonals, wanted.table)];
}

/** Queries that a lane owns: four, unless much more would be computed than there is. */
function ownQueries(queryLength: number): 2 | 4 {
  // Four take 5/6 of the time of two.
  const time = (own: 2 | 4) => Math.ceil(queryLength / (LANES * own)) * own * (own === 4 ? 5 : 6);
  return time(4) < time(2) ? 4 : 2;
}

/** Keys that a lane owns in the backward pass, and blocks of as many times 8. */
function ownKeys(sizes: AttentionSizes): { own: 2 | 4; keyBlocks: number } {
  const own = workOf(sizes) >= LARGE_WORK ? 4 : 2;
  return { own, keyBlocks: Math.ceil(sizes.keyLength / (LANES * own)) };
}

/** Multiply-adds of the backward pass. */
function workOf({ batch, queryLength, keyLength, inner }: AttentionSizes): number {
  return 5 * batch * queryLength * keyLength * inner;
}

function operandBindings({ query, keyValue, table, keyMask, seed }: AttentionOperands) {
  return {
    query,
    key_value: keyValue,
    ...(table && { table }),
    ...(keyMask && { key_mask: keyMask }),
    ...(seed && { seed }),
  };
}

/** The shader for so many queries or keys a lane, its uniforms and override constants. */
function settings(
  shader: Shader,
  own: 2 | 4,
  operands: AttentionOperands,
  attributes: AttentionAttributes,
) {
  const { headSize, inner } = attentionSizes(operands, attributes);
  const { uniforms, constants } = attentionSettings(operands, attributes);
  const queryStride = operands.query.shape[2], keyStride = operands.keyValue.shape[2];
  const sized = withConstants(shader, { CHUNKS: headSize / CHUNK, OWN: own });
  const { positions } = attributes;
  return {
    shader: bucketed(withComparisons(own === 2 ? narrowed(sized) : sized, positions), positions),
    uniforms: {
      ...uniforms,
      query_stride: queryStride,
      key_stride: keyStride,
      key_offset: keyStride - 2 * inner,
    },
    constants,
  };
}

/** The shader of files that continue attention-subgroup.wgsl. */
function continued(name: string, ...sources: string[]): Shader {
  return { name, source: [sharedSource, ...sources].join("\n") };
}

/** The shader with types for two queries or keys a lane. */
function narrowed({ name, source }: Shader): Shader {
  return {
    name,
    source: source
      .replace("alias Row = vec4f;", "alias Row = vec2f;")
      .replace("alias Rows = mat4x4f;", "alias Rows = mat4x2f;")
      .replace("alias Turned = mat4x4f;", "alias Turned = mat2x4f;")
      .replace("alias Numbers = vec4u;", "alias Numbers = vec2u;")
      .replace("alias Flags = vec4<bool>;", "alias Flags = vec2<bool>;"),
  };
}

/** The shader with the comparisons of `bucket` written out. */
function withComparisons(
  { name, source }: Shader,
  positions: PositionBuckets | null,
): Shader {
  if (!positions) return { name, source };
  const distances = firstDistances(positions);
  const steps = distances.slice(Math.floor(distances.length / 2) + 1)
    .map((distance) => `select(vec4u(), vec4u(1), distance >= vec4u(${distance}))`);
  const sum = ["vec4u()", ...steps].join(" + ");
  return { name, source: source.replace("let further = vec4u();", `let further = ${sum};`) };
}
