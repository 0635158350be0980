/**
 * The dispatches of a matrix product on tensors, in a given way.
 */

import dropoutSource from "../../../shaders/matmul-dropout.wgsl" with { type: "text" };
import epilogueSource from "../../../shaders/matmul-epilogue.wgsl" with { type: "text" };
import normGradientSource from "../../../shaders/matmul-norm-gradient.wgsl" with { type: "text" };
import normSource from "../../../shaders/matmul-norm.wgsl" with { type: "text" };
import reduceSource from "../../../shaders/matmul-reduce.wgsl" with { type: "text" };
import scalarEpilogueSource from "../../../shaders/matmul-scalar-epilogue.wgsl" with {
  type: "text",
};
import subgroupSource from "../../../shaders/matmul-subgroup.wgsl" with { type: "text" };
import thinSource from "../../../shaders/matmul-thin.wgsl" with { type: "text" };
import tiledSource from "../../../shaders/matmul-tiled.wgsl" with { type: "text" };
import registerSource from "../../../shaders/matmul.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { withConstants } from "../constants.ts";
import { halve } from "../element.ts";
import type { Dispatch, Scratch, Shader, Tensor } from "../tensor.ts";
import type { MatmulAdapter, MatmulCandidate } from "./matmul-candidates.ts";
import { type MatmulDispatch, type MatmulOperand, planMatmul } from "./matmul-kernel.ts";
import type { MatmulProblem } from "./matmul-problem.ts";

/** The shaders' sources by the names that `planMatmul` gives. */
const SOURCES: Readonly<Record<string, string>> = {
  "matmul": registerSource,
  "matmul-epilogue": epilogueSource,
  "matmul-norm": normSource,
  "matmul-norm-gradient": normGradientSource,
  "matmul-reduce": reduceSource,
  "matmul-scalar-epilogue": scalarEpilogueSource,
  "matmul-subgroup": subgroupSource,
  "matmul-thin": thinSource,
  "matmul-tiled": tiledSource,
};

/** The dispatches of a product computed by a candidate; operands that it does not have may be missing. */
export function candidateDispatches(
  problem: MatmulProblem,
  candidate: MatmulCandidate,
  operands: Readonly<Partial<Record<MatmulOperand, Tensor | Scratch>>>,
  gpu: Gpu,
): Dispatch[] {
  const { batch, m, n, k } = problem;
  const plan = planMatmul(problem, adapterOf(gpu), candidate);
  const scratchBytes = plan.find((dispatch) => dispatch.scratchBytes)?.scratchBytes;
  const memory = { ...operands, ...(scratchBytes && { scratch: { scratchBytes } }) };
  const isHalf = (operand: MatmulOperand) => {
    const place = memory[operand]!;
    return "dtype" in place && place.dtype === "f16";
  };
  return plan.map((dispatch, i): Dispatch => ({
    shader: matmulShader(dispatch, isHalf),
    entry: dispatch.entry,
    constants: Object.fromEntries(
      Object.entries(dispatch.constants).map(([name, value]) => [name, Number(value)]),
    ),
    uniforms: dispatch.uniforms,
    bindings: Object.fromEntries(
      Object.entries(dispatch.bindings).map(([name, operand]) => [name, memory[operand]!]),
    ),
    workgroups: dispatch.workgroups,
    flops: i === 0 ? 2 * batch * m * n * k : 0,
  }));
}

/** The shader of a planned dispatch, for operands of which `isHalf` tells how they are stored. */
export function matmulShader(
  { shader, continuation, text = {}, bindings }: MatmulDispatch,
  isHalf: (operand: MatmulOperand) => boolean,
): Shader {
  let whole = withConstants(continued(shader, continuation), text);
  for (const side of ["a", "b"]) {
    const operand = bindings[side] ?? bindings[`${side}_vec4`];
    if (!operand || !isHalf(operand)) continue;
    whole = halve(whole, side, { [side]: 1, [`${side}_vec4`]: 4 });
  }
  return whole;
}

/** The shader of a product, or of the sum of its parts, and the file that continues it, by their stems. */
export function continued(name: string, continuation: string): Shader {
  const own = SOURCES[name], rest = SOURCES[continuation];
  switch (continuation) {
    case "matmul-norm-gradient": {
      // Buffers are scarce: what is bound as scalars and as vec4s is bound as vec4s alone.
      const vectors = own
        .replaceAll(/^@group.* (a|b|result): array<f32>;\n/gm, "")
        .replaceAll(/return (a|b)\[i\];/g, "return $1_vec4_at(i / 4)[i % 4];")
        .replace("result[start + i] =", "result_vec4[(start + i) / 4][(start + i) % 4] =");
      return { name: `${name}-norm-gradient`, source: `${vectors}\n${dropoutSource}\n${rest}` };
    }
    case "matmul-norm":
      return { name: `${name}-norm`, source: `${own}\n${rest}` };
    case "matmul-scalar-epilogue":
      return { name, source: `${own}\n${rest}` };
    default:
      return { name, source: `${own}\n${dropoutSource}\n${rest}` };
  }
}

/** What of a device the choice of kernels depends on. */
export function adapterOf(gpu: Gpu): MatmulAdapter {
  const { min, max } = gpu.subgroupSize;
  return {
    isCpu: gpu.isCpu,
    // Only a fixed subgroup size can be written into a kernel.
    subgroups: gpu.features.subgroups && min === max,
    subgroupSize: min,
    limits: gpu.limits,
  };
}
