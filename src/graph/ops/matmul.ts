/**
 * Matrix products, with the work around them (bias, ReLU, residual) absorbed as an epilogue.
 *
 * Which kernel runs is decided in matmul-kernel.ts; this file is the op: shapes, gradients, fusion.
 */

import reduceSource from "../../../shaders/matmul-reduce.wgsl" with { type: "text" };
import subgroupSource from "../../../shaders/matmul-subgroup.wgsl" with { type: "text" };
import tiledSource from "../../../shaders/matmul-tiled.wgsl" with { type: "text" };
import registerSource from "../../../shaders/matmul.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { halve } from "../element.ts";
import {
  apply,
  applyAll,
  type Dispatch,
  isFloat,
  matrixShape,
  type Node,
  type Op,
  sameShape,
  type Scratch,
  type Shader,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { addBiasOp } from "./add-bias.ts";
import { addOp } from "./add.ts";
import {
  type MatmulAdapter,
  type MatmulDispatch,
  type MatmulOperand,
  type MatmulProblem,
  planMatmul,
} from "./matmul-kernel.ts";
import { reluOp } from "./relu.ts";
import { reshape } from "./reshape.ts";

/** The shaders' sources by the names that `planMatmul` gives. */
const matmulSources: Readonly<Record<string, string>> = {
  "matmul": registerSource,
  "matmul-reduce": reduceSource,
  "matmul-subgroup": subgroupSource,
  "matmul-tiled": tiledSource,
};

/** How the operands are read. */
export interface MatmulOptions {
  /** `a` is stored as [..., k, m]. */
  readonly transposeA?: boolean;
  /** `b` is stored as [..., n, k]: the layout of a Linear layer's weight. */
  readonly transposeB?: boolean;
}

interface Attributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: boolean;
  readonly relu: boolean;
  readonly residual: boolean;
}

/**
 * op(a) · op(b) over the last two axes.
 *
 * `a` is [..., m, k], `b` is [k, n] (shared by all leading axes of `a`) or [..., k, n] with the leading
 * axes of `a`. Either may be stored as f16. Returns f32 [..., m, n].
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  return apply(matmulOp, [a, b], {
    transposeA,
    transposeB,
    bias: false,
    relu: false,
    residual: false,
  });
}

/** x · weightᵀ, weight [out, in] as PyTorch's Linear keeps it. */
export function linear(x: Tensor, weight: Tensor): Tensor {
  return matmul(x, weight, { transposeB: true });
}

const matmulOp: Op<Attributes> = {
  name: "matmul",
  halfInputs: [0, 1],

  shape(inputs, attributes) {
    const { a, m, n } = problem(inputs, attributes);
    return [{
      shape: [...leading(a), attributes.transposeA ? m : a.shape.at(-2)!, n],
      dtype: "f32",
    }];
  },

  gradient(node, [dy], needed) {
    const { transposeA, transposeB, bias, relu, residual } = node.attributes;
    if (bias || relu || residual) {
      throw new Error("matmul: epilogues are fused after differentiation, not before.");
    }
    const [a, b] = node.inputs;
    const shared = b.shape.length === 2;
    const [flatA, flatDy] = shared ? [flatten(a), flatten(dy!)] : [a, dy!];
    return [
      needed[0]
        ? transposeA
          ? matmul(b, dy!, { transposeA: transposeB, transposeB: true })
          : matmul(dy!, b, { transposeB: !transposeB })
        : undefined,
      needed[1]
        ? transposeB
          ? matmul(flatDy, flatA, { transposeA: true, transposeB: transposeA })
          : matmul(flatA, flatDy, { transposeA: !transposeA })
        : undefined,
    ];
  },

  kernel(node, gpu) {
    const { attributes, inputs, outputs } = node;
    const { m, n, k, batch, aStride, bStride } = problem(inputs, attributes);
    const { transposeA, transposeB, bias, relu, residual } = attributes;
    const epilogue = { bias, residual, ...(relu ? { activation: "relu" as const } : {}) };
    return matmulDispatches(
      { batch, m, n, k, transposeA, transposeB, aStride, bStride, epilogue },
      {
        a: inputs[0],
        b: inputs[1],
        bias: inputs[2],
        residual: inputs[bias ? 3 : 2],
        result: outputs[0],
      },
      gpu,
    );
  },

  absorb(producer, consumer) {
    const { attributes, inputs, outputs: [product] } = producer;
    const { bias, relu, residual } = attributes;
    if (
      consumer.op === addBiasOp && consumer.inputs[0] === product && !bias && !relu && !residual
    ) {
      return fused([...inputs, consumer.inputs[1]], { ...attributes, bias: true });
    }
    if (consumer.op === reluOp && !relu && !residual) {
      return fused(inputs, { ...attributes, relu: true });
    }
    if (consumer.op === addOp && !residual) {
      const other = consumer.inputs[consumer.inputs[0] === product ? 1 : 0];
      return fused([...inputs, other], { ...attributes, residual: true });
    }
    return undefined;
  },
};

/** The dispatches of a product, for other ops to compose; operands that it does not have may be missing. */
export function matmulDispatches(
  problem: MatmulProblem,
  operands: Readonly<Partial<Record<MatmulOperand, Tensor | Scratch>>>,
  gpu: Gpu,
): Dispatch[] {
  const { batch, m, n, k } = problem;
  const plan = planMatmul(problem, adapterOf(gpu));
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
  { shader: name, bindings }: MatmulDispatch,
  isHalf: (operand: MatmulOperand) => boolean,
): Shader {
  let shader: Shader = { name, source: matmulSources[name] };
  for (const side of ["a", "b"]) {
    if (!(side in bindings) || !isHalf(bindings[side])) continue;
    shader = halve(shader, side, { [side]: 1, [`${side}_vec4`]: 4 });
  }
  return shader;
}

function fused(inputs: readonly Tensor[], attributes: Attributes): Node {
  return applyAll(matmulOp, inputs, attributes)[0].node;
}

/** Sizes and strides of the product, or a `ShapeError`. */
function problem([a, b, ...epilogue]: readonly Tensor[], attributes: Attributes) {
  const { transposeA, transposeB } = attributes;
  const operands = [a, b];
  if (a.shape.length < 2 || b.shape.length < 2 || !isFloat(a) || !isFloat(b)) {
    throw new ShapeError(
      "matmul",
      "both operands must be matrices of floats or batches of them",
      operands,
    );
  }
  const shared = b.shape.length === 2;
  if (!shared && !sameShape(leading(a), leading(b))) {
    throw new ShapeError("matmul", "the leading axes differ", operands);
  }
  if (shared && transposeA && a.shape.length > 2) {
    throw new ShapeError(
      "matmul",
      "a batch of transposed matrices needs a batch on the right",
      operands,
    );
  }
  const [bRows, bColumns] = b.shape.slice(-2);
  const [k, n] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  const [aRows, aColumns] = shared
    ? [matrixShape(a).rows, matrixShape(a).columns]
    : a.shape.slice(-2);
  const [m, kOfA] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  if (k !== kOfA) {
    const left = transposeA ? "transposed left" : "left";
    const right = transposeB ? "transposed right" : "right";
    throw new ShapeError(
      "matmul",
      `the ${left} has ${kOfA} columns, the ${right} ${k} rows`,
      operands,
    );
  }
  if (attributes.bias && size(epilogue[0].shape) !== n) {
    throw new ShapeError("matmul", `the bias must have ${n} elements`, [a, b, epilogue[0]]);
  }
  const batch = shared ? 1 : size(leading(a));
  return { a, b, m, n, k, batch, aStride: batch > 1 ? m * k : 0, bStride: batch > 1 ? k * n : 0 };
}

function leading(tensor: Tensor): readonly number[] {
  return tensor.shape.slice(0, -2);
}

function flatten(tensor: Tensor): Tensor {
  if (tensor.shape.length === 2) return tensor;
  const { rows, columns } = matrixShape(tensor);
  return reshape(tensor, [rows, columns]);
}

function adapterOf(gpu: Gpu): MatmulAdapter {
  const { min, max } = gpu.subgroupSize;
  return {
    isCpu: gpu.isCpu,
    // Only a fixed subgroup size can be written into a kernel.
    subgroups: gpu.features.subgroups && min === max,
    subgroupSize: min,
    limits: gpu.limits,
  };
}
