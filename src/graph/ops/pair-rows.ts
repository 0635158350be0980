import source from "../../../shaders/pair-rows.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Dispatch, type Op, ShapeError, type Tensor } from "../tensor.ts";

const shader = { name: "pair-rows", source };

interface Sizes {
  readonly batch: number;
  readonly layers: number;
  readonly columnsZ: number;
  readonly columnsE: number;
}

const pairRowsOp: Op<null> = {
  name: "pair rows",
  shape(inputs) {
    if (inputs.some(({ shape, dtype }) => shape.length !== 2 || dtype !== "f32")) {
      throw new ShapeError("pairRows", "needs two f32 matrices", inputs);
    }
    const { batch, layers, columnsZ, columnsE } = sizesOf(inputs);
    return [{ shape: [layers, batch, columnsZ + columnsE], dtype: "f32" }];
  },
  gradient({ inputs }, [dy], needed) {
    const sizes = sizesOf(inputs);
    return (["z", "e"] as const).map((operand, i) =>
      needed[i] ? apply(pairRowsGradientOp, [dy!], { ...sizes, operand }) : undefined
    );
  },
  kernel({ inputs, outputs: [result] }) {
    const [z, e] = inputs;
    return [dispatch("forward", sizesOf(inputs), result, { z, e })];
  },
};

const pairRowsGradientOp: Op<Sizes & { operand: "z" | "e" }> = {
  name: "pair rows gradient",
  shape(_, { operand, batch, layers, columnsZ, columnsE }) {
    return [{ shape: operand === "z" ? [batch, columnsZ] : [layers, columnsE], dtype: "f32" }];
  },
  kernel: ({ inputs: [dy], outputs: [result], attributes }) => [
    dispatch(`gradient_${attributes.operand}`, attributes, result, { pairs_gradient: dy }),
  ],
};

/**
 * Every row of z [batch, m] beside every row of e [layers, n]: [layers, batch, m + n], z first.
 */
export function pairRows(z: Tensor, e: Tensor): Tensor {
  return apply(pairRowsOp, [z, e], null);
}

function sizesOf([z, e]: readonly Tensor[]): Sizes {
  return {
    batch: z.shape[0],
    layers: e.shape[0],
    columnsZ: z.shape[1],
    columnsE: e.shape[1],
  };
}

function dispatch(
  entry: string,
  { batch, layers, columnsZ, columnsE }: Sizes,
  result: Tensor,
  operands: Readonly<Record<string, Tensor>>,
): Dispatch {
  return {
    shader,
    entry,
    uniforms: { batch, layers, columns_z: columnsZ, columns_e: columnsE },
    bindings: { ...operands, result },
    workgroups: elementGrid(result),
  };
}
