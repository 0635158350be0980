import {
  apply,
  elementBytes,
  type Op,
  sameShape,
  type Shape,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { copyDispatch } from "./copy.ts";
import { joinNeighbours } from "./neighbours.ts";
import { window } from "./window.ts";

interface Attributes {
  readonly shape: Shape;
  /** Element offset of each operand. */
  readonly offsets: readonly number[];
}

const concatOp: Op<Attributes> = {
  name: "concat",
  halfInputs: "all",
  shape(inputs, { shape, offsets }) {
    const end = Math.max(...inputs.map((part, i) => offsets[i] + size(part.shape)));
    if (end > size(shape) || inputs.some((part) => part.dtype !== inputs[0].dtype)) {
      throw new ShapeError("concat", `the operands do not make up [${shape.join(", ")}]`, inputs);
    }
    return [{ shape, dtype: inputs[0].dtype }];
  },
  gradient: ({ inputs, attributes: { offsets } }, [dy]) =>
    inputs.map((part, i) => window(dy!, offsets[i], part.shape)),
  gather: ({ inputs: [{ dtype }], attributes: { offsets } }) =>
    offsets.map((offset, input) => ({ input, byteOffset: elementBytes(dtype) * offset })),
  kernel: ({ inputs, outputs: [result], attributes: { offsets } }) =>
    inputs.map((part, i) =>
      copyDispatch(part, result, size(part.shape), { resultOffset: offsets[i] })
    ),
  simpler({ inputs, attributes: { shape, offsets } }) {
    const { parts, offsets: joined } = joinNeighbours({ parts: inputs, offsets });
    const [first] = parts;
    if (size(first.shape) === size(shape)) {
      return [sameShape(first.shape, shape) ? first : window(first, 0, shape)];
    }
    if (parts.length === inputs.length) return undefined;
    return [apply(concatOp, parts, { shape, offsets: joined })];
  },
};

/**
 * The parts one after the other, seen under `shape`. They are computed in place where alignment allows;
 * parts that are neighbours in one tensor already stay where they are.
 */
export function concat(parts: readonly Tensor[], shape: Shape): Tensor {
  let offset = 0;
  const offsets = parts.map((part) => {
    const start = offset;
    offset += size(part.shape);
    return start;
  });
  if (offset !== size(shape)) {
    throw new ShapeError("concat", `the operands do not make up [${shape.join(", ")}]`, parts);
  }
  return apply(concatOp, parts, { shape, offsets });
}
