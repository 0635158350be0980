import source from "../../../shaders/cache-write.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

const cacheWriteOp: Op<null> = {
  name: "cacheWrite",
  inPlace: [0],
  shape(inputs) {
    const [cache, row, position] = inputs;
    const [batch, , rowSize] = cache.shape;
    if (cache.shape.length !== 3 || !sameShape(row.shape, [batch, rowSize])) {
      throw new ShapeError(
        "cacheWrite",
        "the row must be the cache without its middle axis",
        inputs,
      );
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) {
      throw new ShapeError("cacheWrite", "the position must be one u32", inputs);
    }
    return [cache];
  },
  kernel({ inputs: [, row, position], outputs: [cache] }) {
    const [batch, length, rowSize] = cache.shape;
    return [{
      shader: { name: "cache-write", source },
      uniforms: { batch, length, row_size: rowSize },
      bindings: { row, position, cache },
      workgroups: linearGrid(size(row.shape)),
    }];
  },
};

/**
 * Writes a row per element of the batch into a variable, in place; beyond its end, nothing.
 *
 * @param cache variable, [batch, length, rowSize]
 * @param row [batch, rowSize]
 * @param position u32[1], where on the middle axis
 * @returns the cache after the write: read it, not the variable's leaf, to see the new row
 * @throws {ShapeError} when operands do not fit
 */
export function cacheWrite(cache: Tensor, row: Tensor, position: Tensor): Tensor {
  return apply(cacheWriteOp, [cache, row, position], null);
}
