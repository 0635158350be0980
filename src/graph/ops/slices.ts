/**
 * A matrix in slices of rows, since it is larger than what the device binds at once.
 *
 * It is never in memory as a whole: embeddings and linear layers are rewritten into ones of the slices
 * (the `simpler` of their ops), and nothing else can read it.
 */

import { UserError } from "../../errors.ts";
import { apply, byteLength, type Op, ShapeError, type Tensor } from "../tensor.ts";

const slicesOp: Op<{ name: string }> = {
  name: "slices",
  halfInputs: "all",
  shape(inputs) {
    const [{ shape: [, columns], dtype }] = inputs;
    if (inputs.some((slice) => slice.dtype !== dtype || slice.shape[1] !== columns)) {
      throw new ShapeError("slices", "the slices must be matrices of one width and type", inputs);
    }
    const rows = inputs.reduce((sum, { shape }) => sum + shape[0], 0);
    return [{ shape: [rows, columns], dtype }];
  },
  kernel({ outputs: [matrix], attributes: { name } }, { adapterName, limits }) {
    throw new UserError(
      `the matrix ${name} [${matrix.shape.join(", ")}] has ${byteLength(matrix)} bytes and ` +
        `${adapterName} binds at most ${limits.maxStorageBufferBindingSize} at once: store it in ` +
        `half the bytes with --weight-storage f16, or use another adapter`,
    );
  },
};

/** The matrix [rows, columns] that these slices [·, columns] are, one below the other. */
export function slices(name: string, parts: readonly Tensor[]): Tensor {
  return apply(slicesOp, parts, { name });
}

/** The slices of a matrix, if it is in slices. */
export function slicesOf({ node }: Tensor): readonly Tensor[] | undefined {
  return node.op === slicesOp ? node.inputs : undefined;
}
