import source from "../../../shaders/cache-write.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { applyAll, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

/** Keys and values of one attention layer. */
export interface KeyValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

const cacheWriteOp: Op<null> = {
  name: "cacheWrite",
  inPlace: [0, 1],
  shape(inputs) {
    const [keyCache, valueCache, key, value, position] = inputs;
    const [batch, , rowSize] = keyCache.shape;
    const rowsFit = [key, value].every(({ shape }) => sameShape(shape, [batch, rowSize]));
    if (keyCache.shape.length !== 3 || !rowsFit || !sameShape(keyCache.shape, valueCache.shape)) {
      throw new ShapeError(
        "cacheWrite",
        "the caches must be alike, the rows as they are without their middle axis",
        inputs,
      );
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) {
      throw new ShapeError("cacheWrite", "the position must be one u32", inputs);
    }
    return [keyCache, valueCache];
  },
  kernel({ inputs: [, , key, value, position], outputs: [key_cache, value_cache] }) {
    const [batch, length, rowSize] = key_cache.shape;
    return [{
      shader: { name: "cache-write", source },
      uniforms: { batch, length, row_size: rowSize },
      bindings: { key, value, position, key_cache, value_cache },
      workgroups: linearGrid(size(key.shape)),
    }];
  },
};

/**
 * Writes a row per element of the batch into two variables, in place; beyond their end, nothing.
 *
 * @param cache variables, [batch, length, rowSize] each
 * @param row [batch, rowSize] each
 * @param position u32[1], where on the middle axis
 * @returns the caches after the write: read them, not the variables' leaves, to see the new row
 * @throws {ShapeError} when operands do not fit
 */
export function cacheWrite(cache: KeyValues, row: KeyValues, position: Tensor): KeyValues {
  const inputs = [cache.key, cache.value, row.key, row.value, position];
  const [key, value] = applyAll(cacheWriteOp, inputs, null);
  return { key, value };
}
