/**
 * Matrix products, with the work around them (bias, ReLU, dropout, gates, residual, the GELU gate's gradient)
 * absorbed as an epilogue.
 *
 * This file is the op: shapes, gradients, fusion. Its kernels are chosen in matmul-choice.ts.
 */

import {
  apply,
  applyAll,
  isFloat,
  matrixShape,
  type Node,
  type Op,
  sameShape,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { addBiasOp } from "./add-bias.ts";
import { addOp } from "./add.ts";
import { type DropoutMask, dropoutOp } from "./dropout.ts";
import { geluGateGradientOp } from "./gelu-gate.ts";
import { matmulDispatches } from "./matmul-choice.ts";
import { normLinearGradient } from "./norm-linear.ts";
import { reluGradientOp, reluOp } from "./relu.ts";
import { reshape } from "./reshape.ts";
import { slicedLinear, slicedLinearGradient } from "./sliced-linear.ts";
import { slicesOf } from "./slices.ts";
import { normGradientOperands, normInputGradientOp } from "./rms-norm-gradient.ts";

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
  readonly dropout: DropoutMask | undefined;
  readonly gate: boolean;
  readonly residual: boolean;
  readonly gateGradient: boolean;
}

const PLAIN = {
  bias: false,
  relu: false,
  dropout: undefined,
  gate: false,
  residual: false,
  gateGradient: false,
} as const;

/**
 * op(a) · op(b) over the last two axes.
 *
 * `a` is [..., m, k], `b` is [k, n] (shared by all leading axes of `a`) or [..., k, n] with the leading
 * axes of `a`. Either may be stored as f16. Returns f32 [..., m, n].
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  return apply(matmulOp, [a, b], { transposeA, transposeB, ...PLAIN });
}

/** x · weightᵀ, weight [out, in] as PyTorch's Linear keeps it. */
export function linear(x: Tensor, weight: Tensor): Tensor {
  return matmul(x, weight, { transposeB: true });
}

/**
 * Inputs: a, b and, where they were absorbed, the bias or dropout's seed, and the residual, what gates the
 * product, or x of the gate whose gradient it makes.
 */
const matmulOp: Op<Attributes> = {
  name: "matmul",
  halfInputs: [0, 1],

  shape(inputs, attributes) {
    const { a, m, n } = problem(inputs, attributes);
    const rows = attributes.transposeA ? m : a.shape.at(-2)!;
    const columns = attributes.gateGradient ? 2 * n : n;
    return [{ shape: [...leading(a), rows, columns], dtype: "f32" }];
  },

  gradient(node, [dy], needed) {
    const { transposeA, transposeB } = node.attributes;
    if (node.inputs.length > 2 || node.attributes.relu) {
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
    const { transposeA, transposeB, bias, relu, dropout, gate, residual, gateGradient } =
      attributes;
    const activation = relu ? "relu" as const : undefined;
    const epilogue = { bias, activation, dropout, gate, residual, gateGradient };
    return matmulDispatches(
      { batch, m, n, k, transposeA, transposeB, aStride, bStride, epilogue },
      {
        a: inputs[0],
        b: inputs[1],
        bias: inputs[2],
        seed: inputs[2],
        residual: inputs[bias || dropout ? 3 : 2],
        result: outputs[0],
      },
      gpu,
    );
  },

  simpler(node) {
    const weights = slicesOf(node.inputs[1]);
    const { transposeA, transposeB, relu } = node.attributes;
    if (!weights || transposeA || relu || node.inputs.length > 2) return undefined;
    const [x] = node.inputs;
    return [transposeB ? slicedLinear(x, weights) : slicedLinearGradient(x, weights)];
  },

  absorb(producer, consumer) {
    const { attributes, inputs, outputs: [product] } = producer;
    const { bias, relu, dropout, gate, residual, gateGradient } = attributes;
    // Gates and sums come last, and share a binding.
    if (gate || residual || gateGradient) return undefined;
    const [first, second] = consumer.inputs;
    switch (consumer.op) {
      case addBiasOp:
        if (first !== product || bias || relu || dropout) return undefined;
        return fused([...inputs, second], { ...attributes, bias: true });
      case reluOp:
        return relu || dropout ? undefined : fused(inputs, { ...attributes, relu: true });
      case dropoutOp: {
        const [, seed, ...sum] = consumer.inputs;
        // A bias and a seed share a binding too.
        if (first !== product || bias || dropout) return undefined;
        return fused([...inputs, seed, ...sum], {
          ...attributes,
          dropout: consumer.attributes,
          residual: sum.length > 0,
        });
      }
      case reluGradientOp:
        if (second !== product) return undefined;
        return fused([...inputs, first], { ...attributes, gate: true });
      case geluGateGradientOp: {
        const [x, adjoint, ...seed] = consumer.inputs;
        if (adjoint !== product || seed.length > 0 && (bias || dropout)) return undefined;
        return fused([...inputs, ...seed, x], {
          ...attributes,
          dropout: dropout ?? consumer.attributes ?? undefined,
          gateGradient: true,
        });
      }
      case addOp:
        return fused([...inputs, first === product ? second : first], {
          ...attributes,
          residual: true,
        });
      case normInputGradientOp: {
        const linear = plainLinear(producer);
        if (!linear || consumer.inputs[3] !== product) return undefined;
        const norm = normGradientOperands(consumer.inputs, consumer.attributes);
        return normLinearGradient(linear.x, linear, norm);
      }
    }
    return undefined;
  },
};

/** What a node multiplies by a weight for all rows, if that is all it does. */
export function plainLinear(
  { op, inputs: [x, weight], inputs, attributes }: Node,
): { readonly x: Tensor; readonly weight: Tensor; readonly transposeB: boolean } | undefined {
  const { transposeA, transposeB, relu } = attributes ?? {};
  const isPlain = op === matmulOp && inputs.length === 2 && !relu && !transposeA;
  return isPlain && weight.shape.length === 2 && x.dtype === "f32"
    ? { x, weight, transposeB }
    : undefined;
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
