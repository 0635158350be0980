/**
 * How a model's parameters are stored on the device.
 *
 * f16 halves the memory of a frozen backbone, and the bytes that its products read; sums are in f32 all
 * the same. Only the large matrices are stored so. Norms, biases and position tables are read by ops that
 * know f32 alone, and would save nothing worth mentioning; adapters are small, and trained in f32.
 */

import type { Gpu } from "../gpu/device.ts";
import type { Dtype } from "../io/header.ts";

/** f32, f16 with whatever precision that loses, or f16 where it loses none and costs no time. */
export type WeightStorage = "f32" | "f16" | "auto";

/** All of them. */
export const WEIGHT_STORAGES: readonly WeightStorage[] = ["f32", "f16", "auto"];

/** The parameters that products and embeddings read, and nothing else does. */
const MATRIX =
  /^(shared|lm_head)\.weight$|\.((Self|EncDec)Attention\.[qkvo]|DenseReluDense\.w(i|i_0|i_1|o))\.weight$/;

/**
 * How to store a parameter.
 *
 * @param wanted for the backbone's matrices; all other parameters are f32
 * @param parameter its name, whether training changes it, and the type of its tensor in the file, if it
 * is in one
 */
export function storageOf(
  gpu: Gpu,
  wanted: WeightStorage,
  { name, trainable, dtype }: { name: string; trainable: boolean; dtype?: Dtype | undefined },
): "f32" | "f16" {
  if (trainable || !MATRIX.test(name)) return "f32";
  return wanted === "auto" ? dtype === "F16" && widensFast(gpu) ? "f16" : "f32" : wanted;
}

/**
 * Whether reading halves takes no longer than reading floats. GPUs have an instruction for it. So have
 * CPU adapters with the f16 feature; SwiftShader, which has neither, is up to a third slower.
 */
function widensFast({ isCpu, features }: Gpu): boolean {
  return !isCpu || features.f16;
}
