/**
 * A tensor as PyTorch keeps it: a strided view of a storage that other tensors may share.
 *
 * A view is checked against its storage when it is made. It may repeat no element, as an expanded
 * tensor does: what a file makes one read is then never more than what the file has.
 */

import { type Dtype, dtypeBytes, elementCount } from "./header.ts";
import type { ByteSource, StoredTensor } from "./source.ts";

/** A run of elements that tensors are views of. */
export class Storage {
  /**
   * @param key what the file calls it
   * @param length in elements
   */
  constructor(readonly key: string, readonly dtype: Dtype, readonly length: number) {}

  get bytes(): number {
    return this.length * dtypeBytes(this.dtype);
  }
}

/** A view that lies within its storage; offset and strides are in elements. */
export class TensorView {
  /**
   * @param shape whole numbers
   * @param stride as many whole numbers
   * @param refuse called with the reason if the view does not lie within the storage; it must throw
   */
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
    refuse: (why: string) => never,
  ) {
    const count = elementCount(shape);
    // An inexact product or sum is far beyond any storage, and NaN (0 × Infinity) is no count.
    if (!(count <= storage.length)) {
      refuse(
        `a tensor of shape [${shape}] is a view of ${storage.length} elements: store a copy ` +
          "(tensor.contiguous()) of what was expanded",
      );
    }
    const end = offset + (count === 0 ? 0 : this.#span);
    if (end > storage.length) {
      refuse(
        `a tensor of shape [${shape}], stride [${stride}] and offset ${offset} leaves its storage ` +
          `of ${storage.length} elements`,
      );
    }
  }

  /** Elements from the first to the last one, both included. */
  get #span(): number {
    return this.shape.reduce((last, size, axis) => last + (size - 1) * this.stride[axis], 1);
  }

  /** The tensor in `source`, whose bytes from `begin` are the storage. */
  stored(source: ByteSource, begin: number): StoredTensor {
    const { storage: { dtype }, shape, stride, offset } = this;
    if (elementCount(shape) === 0) {
      return { dtype, shape, read: () => Promise.resolve(new Uint8Array(0)) };
    }
    const first = begin + offset * dtypeBytes(dtype);
    const readPart = (from: number, to: number) => source.read(first + from, first + to);
    const readSpan = () => readPart(0, this.#span * dtypeBytes(dtype));
    if (isContiguous(shape, stride)) return { dtype, shape, read: readSpan, readPart };
    const read = async () => gathered(await readSpan(), dtypeBytes(dtype), shape, stride);
    return { dtype, shape, read };
  }
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  return shape.toReversed().every((size, i) => {
    const contiguous = size === 1 || stride.at(-1 - i) === expected;
    expected *= size;
    return contiguous;
  });
}

/** The elements in row-major order, of which `bytes` holds the first to the last. */
function gathered(
  bytes: Uint8Array,
  elementBytes: number,
  shape: readonly number[],
  stride: readonly number[],
): Uint8Array {
  // Eight bytes are moved as two fours: as a float, some of their patterns might change.
  if (elementBytes === 8) {
    return gathered(bytes, 4, [...shape, 2], [...stride.map((elements) => 2 * elements), 1]);
  }
  const Elements = elementBytes === 4 ? Uint32Array : elementBytes === 2 ? Uint16Array : Uint8Array;
  const aligned = bytes.byteOffset % elementBytes === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned as Uint8Array<ArrayBuffer>;
  const source = new Elements(buffer, byteOffset, byteLength / elementBytes);
  const target = new Elements(elementCount(shape));
  const last = shape.length - 1;
  let filled = 0;
  const gather = (axis: number, start: number) => {
    for (let i = 0, at = start; i < shape[axis]; i++, at += stride[axis]) {
      if (axis === last) target[filled++] = source[at];
      else gather(axis + 1, at);
    }
  };
  gather(0, 0);
  return new Uint8Array(target.buffer);
}
