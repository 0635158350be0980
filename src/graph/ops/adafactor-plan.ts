/**
 * How the dispatches of an Adafactor update are divided among the tensors of a slab: the tables that
 * `adafactor.wgsl` reads, in its own terms.
 *
 * A dispatch's workgroup finds in its table which tensor it works on, so the number of dispatches does not
 * depend on the number of tensors. Entries are four u32 each.
 */

import { type Shape, size } from "../tensor.ts";

/** A tensor's place in a slab and what becomes of it. */
export interface AdafactorTensor {
  /** In elements, a multiple of 64. */
  readonly offset: number;
  /** Two axes or more: factored over the last two, each index of the others on its own. */
  readonly shape: Shape;
  /** Without one, the tensor stays as it is. */
  readonly hasGradient: boolean;
  readonly decays: boolean;
}

/** Where a tensor's second moments lie in the variable that holds those of all. */
export interface AdafactorMoments {
  /** [...leading axes, rows], or [n] of a vector. */
  readonly row: { readonly offset: number; readonly shape: Shape };
  /** [...leading axes, columns]; undefined for a vector. */
  readonly column: { readonly offset: number; readonly shape: Shape } | undefined;
}

/** A table: where it begins in the plan and how many entries it has. */
export interface Table {
  readonly first: number;
  readonly count: number;
}

/** See the module's header. Sizes are in elements. */
export interface AdafactorPlan {
  readonly entries: Uint32Array<ArrayBuffer>;
  readonly tensors: Table;
  readonly tiles: Table;
  readonly lines: Table;
  readonly matrices: Table;
  readonly chunks: Table;
  /** Of the second moments. */
  readonly momentsLength: number;
  readonly moments: readonly AdafactorMoments[];
  /** Of the scratch memory `partials` and `line_factors`. */
  readonly partialsLength: number;
  readonly factorsLength: number;
  /** In `partials`. */
  readonly chunkSums: number;
  readonly stepSizes: number;
}

/** Rows and columns of a tile, lines of a block of them. */
const TILE = 64;
const CHUNK = 4096;

const FACTORED = 1, HAS_GRADIENT = 2, DECAYED = 4;

/** Divides the work on the tensors of one slab. */
export function planAdafactor(all: readonly AdafactorTensor[]): AdafactorPlan {
  const tensors: number[] = [], tiles: number[] = [], lines: number[] = [];
  const matrices: number[] = [], chunks: number[] = [];
  const moments: AdafactorMoments[] = [];
  const lengths = { moments: 0, partials: 0, factors: 0 };
  const reserve = (memory: keyof typeof lengths, length: number) => {
    const offset = lengths[memory];
    lengths[memory] += length;
    return offset;
  };

  for (const [index, { offset, shape, hasGradient, decays }] of all.entries()) {
    const isFactored = shape.length >= 2;
    const leading = shape.slice(0, -2);
    const count = size(leading);
    const [rows, columns] = isFactored ? shape.slice(-2) : [1, size(shape)];
    const flags = (isFactored ? FACTORED : 0) | (hasGradient ? HAS_GRADIENT : 0) |
      (decays ? DECAYED : 0);
    const chunkCount = Math.ceil(size(shape) / CHUNK);
    const row = {
      offset: reserve("moments", isFactored ? count * rows : columns),
      shape: isFactored ? [...leading, rows] : shape,
    };
    const column = isFactored
      ? { offset: reserve("moments", count * columns), shape: [...leading, columns] }
      : undefined;
    moments.push({ row, column });
    const places = isFactored
      ? [
        reserve("partials", Math.ceil(columns / TILE) * count * rows),
        reserve("partials", Math.ceil(rows / TILE) * count * columns),
        reserve("factors", wholeVectors(count * rows)),
        reserve("factors", wholeVectors(count * columns)),
      ]
      : [0, 0, 0, 0];
    tensors.push(offset, size(shape), rows, columns, flags, count, row.offset);
    tensors.push(column?.offset ?? 0, ...places, chunks.length / 4, chunkCount, 0, 0);
    for (let i = 0; i < chunkCount; i++) chunks.push(index, i * CHUNK, 0, 0);
    if (!isFactored) continue;
    for (let matrix = 0; matrix < count; matrix++) {
      matrices.push(index, matrix, 0, 0);
      for (let row = 0; row < rows; row += TILE) {
        for (let column = 0; column < columns; column += TILE) {
          tiles.push(index, matrix, row, column);
        }
      }
    }
    for (const [kind, length] of [count * rows, count * columns].entries()) {
      for (let line = 0; line < length; line += TILE) lines.push(index, kind, line, 0);
    }
  }

  const entries: number[] = [];
  const table = (numbers: number[], width = 4): Table => {
    const first = entries.length / 4;
    for (const number of numbers) entries.push(number);
    return { first, count: numbers.length / width };
  };
  return {
    tensors: table(tensors, 16),
    tiles: table(tiles),
    lines: table(lines),
    matrices: table(matrices),
    chunks: table(chunks),
    momentsLength: lengths.moments,
    moments,
    chunkSums: reserve("partials", chunks.length / 2),
    stepSizes: reserve("partials", 2 * all.length),
    partialsLength: lengths.partials,
    factorsLength: lengths.factors,
    entries: Uint32Array.from(entries),
  };
}

/** So that what follows can be read four elements at a time. */
function wholeVectors(length: number): number {
  return 4 * Math.ceil(length / 4);
}
