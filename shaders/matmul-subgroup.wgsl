// Matrix product by register blocking within subgroups: result[z] = epilogue(alpha · op(a[z]) · op(b[z])).
//
//   a         [m, k], or [k, m] when transposeA
//   b         [k, n], or [n, k] when transposeB
//   bias      [n]; [m] when transposeResult
//   residual  as result
//   result    [batch, m, n], or [batch, n, m] when transposeResult; with splits > 1, partial sums
//             [splits, batch, m, n] or [splits, batch, n, m]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · headSize]; partial
// sums are contiguous.
//
// For CPU adapters with subgroups of 8, one to a workgroup. It owns up to 32 rows by 8 lanes × 8 columns. Each
// lane loads its own columns of b and a different row of a, which subgroupBroadcast hands to the others: a load
// is a gather there and costs more than ten multiply-adds, a broadcast is one shuffle. Lanes lie along n, so
// a result of few columns is computed as its transpose op(b)ᵀ · op(a)ᵀ, a and b exchanged, with transposeResult.
//
// The loader puts `enable subgroups;` before this file where the implementation wants that line (Chromium,
// Dawn); Deno (wgpu) refuses it.
//
// The block is 4×4 matrices in result order: column i of one is four columns of the result's row i. A block
// of fewer rows or columns than the largest stores fewer of them, and the compiler drops what nobody stores.
//
// Invariant: every load is clamped into its matrix and every store is guarded, so m, n and k are free, and
// no branch before the stores differs between lanes, as every broadcast needs all of them. aVec4 and bVec4 are
// a and b once more, for four-wide loads; they are read only under vectorA and vectorB, for which row length
// and strides are multiples of 4.

struct Params {
  batch: u32,
  m: u32,
  n: u32,
  k: u32,
  // Elements from one group of matrices to the next; 0 shares one group among the whole batch.
  aStride: u32,
  bStride: u32,
  splits: u32,
  // Length of k that one split sums, a multiple of 4.
  splitLength: u32,
  // Sum of BIAS, RELU and RESIDUAL: a uniform, so that one pipeline serves every epilogue.
  epilogue: u32,
  alpha: f32,
  resultStride: u32,
  // Matrices in a group, and elements from one of them to the next.
  heads: u32,
  aHeadStride: u32,
  bHeadStride: u32,
  resultHeadStride: u32,
  // Elements from one row in memory to the next.
  aRowStride: u32,
  bRowStride: u32,
  resultRowStride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> aVec4: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> bVec4: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;

// Rows of a subgroup's block: 8, 16 or 32.
override blockRows: u32 = 32;
// Columns of a lane's block: 4 or 8.
override blockColumns: u32 = 8;
override transposeResult: bool = false;
override transposeA: bool = false;
override transposeB: bool = false;
override vectorA: bool = false;
override vectorB: bool = false;

const lanes = 8u;

const BIAS = 1u;
const RELU = 2u;
const RESIDUAL = 4u;

// The value to store at `index` of the result, in its column `column`, from its finished sum.
fn epilogue(sum: f32, index: u32, column: u32) -> f32 {
  var value = params.alpha * sum;
  if ((params.epilogue & BIAS) != 0u) { value += bias[column]; }
  if ((params.epilogue & RELU) != 0u) { value = select(value, 0.0, value < 0.0); }
  if ((params.epilogue & RESIDUAL) != 0u) { value += residual[index]; }
  return value;
}

// k … k + 3 of the row of op(a) that starts at `row`, zero beyond the last k.
fn fourOfA(row: u32, k: u32) -> vec4f {
  if (vectorA && !transposeA) { return aVec4[(row + k) / 4]; }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1)) * select(1, params.aRowStride, transposeA);
  return select(vec4f(), vec4f(a[i.x], a[i.y], a[i.z], a[i.w]), steps < vec4u(params.k));
}

fn fourOfB(column: u32, k: u32) -> vec4f {
  if (vectorB) { return bVec4[(column + k) / 4]; }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = column + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b[i.x], b[i.y], b[i.z], b[i.w]), steps < vec4u(params.k));
}

// One k of the four columns of op(b) that start at `columns`, zero beyond the last k.
fn sliceOfB(columns: vec4u, k: u32) -> vec4f {
  let i = columns + min(k, params.k - 1) * params.bRowStride;
  if (vectorB) { return select(vec4f(), bVec4[i.x / 4], k < params.k); }
  return select(vec4f(), vec4f(b[i.x], b[i.y], b[i.z], b[i.w]), k < params.k);
}

// k … k + 3 by four columns of op(b); a matrix column for each k.
fn blockOfB(columns: vec4u, k: u32) -> mat4x4f {
  if (transposeB) {
    return transpose(mat4x4f(
      fourOfB(columns.x, k), fourOfB(columns.y, k), fourOfB(columns.z, k), fourOfB(columns.w, k)
    ));
  }
  return mat4x4f(
    sliceOfB(columns, k), sliceOfB(columns, k + 1), sliceOfB(columns, k + 2), sliceOfB(columns, k + 3)
  );
}

// Offset at k = 0 of a row of op(a), clamped to its last.
fn rowFrom(offset: u32, row: u32) -> u32 {
  return offset + min(row, params.m - 1) * select(params.aRowStride, 1, transposeA);
}

// Offsets at k = 0 of four columns of op(b), clamped to its last.
fn columnsFrom(offset: u32, column: u32) -> vec4u {
  let last = select(vec4u(params.n - 1), params.n - vec4u(4, 3, 2, 1), !transposeB && vectorB);
  let columns = min(column + vec4u(0, 1, 2, 3), last);
  return offset + columns * select(1, params.bRowStride, transposeB);
}

// The rows of op(a) that lanes 0 … 3, or 4 … 7, have loaded; a matrix column for each.
fn handRound(mine: vec4f, upper: bool) -> mat4x4f {
  if (upper) {
    return mat4x4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u),
      subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return mat4x4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u),
    subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

fn storeRow(values: vec4f, offset: u32, row: u32, column: u32) {
  if (row >= params.m) { return; }
  for (var i = 0u; i < 4 && column + i < params.n; i++) {
    if (transposeResult) {
      let index = offset + (column + i) * params.resultRowStride + row;
      result[index] = epilogue(values[i], index, row);
    } else {
      let index = offset + row * params.resultRowStride + column + i;
      result[index] = epilogue(values[i], index, column + i);
    }
  }
}

// Stores the 4×4 part of the lane's block at (down, across).
fn store(values: mat4x4f, offset: u32, row: u32, column: u32, down: u32, across: u32) {
  if (down >= blockRows || across >= blockColumns) { return; }
  storeRow(values[0], offset, row + down, column + across);
  storeRow(values[1], offset, row + down + 1, column + across);
  storeRow(values[2], offset, row + down + 2, column + across);
  storeRow(values[3], offset, row + down + 3, column + across);
}

@compute @workgroup_size(lanes)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let blocksAcross = (params.n + lanes * blockColumns - 1) / (lanes * blockColumns);
  let blocksDown = (params.m + blockRows - 1) / blockRows;
  // A slice is one split of one batch element.
  let slice = number / (blocksAcross * blocksDown);
  if (slice >= params.splits * params.batch) { return; }
  let batch = slice % params.batch;
  let outer = batch / params.heads;
  let head = batch % params.heads;
  let aOffset = outer * params.aStride + head * params.aHeadStride;
  let bOffset = outer * params.bStride + head * params.bHeadStride;
  // Only a contiguous result is split, so that what follows it is the next split.
  let resultOffset = slice / params.heads * params.resultStride + head * params.resultHeadStride;
  let row = number / blocksAcross % blocksDown * blockRows;
  let column = (number % blocksAcross * lanes + lane) * blockColumns;
  let rows0 = rowFrom(aOffset, row + lane);
  let rows1 = rowFrom(aOffset, row + 8 + lane);
  let rows2 = rowFrom(aOffset, row + 16 + lane);
  let rows3 = rowFrom(aOffset, row + 24 + lane);
  let columns0 = columnsFrom(bOffset, column);
  let columns1 = columnsFrom(bOffset, column + 4);

  var c00 = mat4x4f(); var c01 = mat4x4f();
  var c10 = mat4x4f(); var c11 = mat4x4f();
  var c20 = mat4x4f(); var c21 = mat4x4f();
  var c30 = mat4x4f(); var c31 = mat4x4f();
  var c40 = mat4x4f(); var c41 = mat4x4f();
  var c50 = mat4x4f(); var c51 = mat4x4f();
  var c60 = mat4x4f(); var c61 = mat4x4f();
  var c70 = mat4x4f(); var c71 = mat4x4f();
  var k = slice / params.batch * params.splitLength;
  let end = min(params.k, k + params.splitLength);
  for (; k < end; k += 4) {
    let b0 = blockOfB(columns0, k);
    let b1 = blockOfB(columns1, k);
    let mine0 = fourOfA(rows0, k);
    let a0 = handRound(mine0, false);
    let a1 = handRound(mine0, true);
    c00 += b0 * a0; c01 += b1 * a0;
    c10 += b0 * a1; c11 += b1 * a1;
    if (blockRows > 8) {
      let mine1 = fourOfA(rows1, k);
      let a2 = handRound(mine1, false);
      let a3 = handRound(mine1, true);
      c20 += b0 * a2; c21 += b1 * a2;
      c30 += b0 * a3; c31 += b1 * a3;
    }
    if (blockRows > 16) {
      let mine2 = fourOfA(rows2, k);
      let mine3 = fourOfA(rows3, k);
      let a4 = handRound(mine2, false);
      let a5 = handRound(mine2, true);
      let a6 = handRound(mine3, false);
      let a7 = handRound(mine3, true);
      c40 += b0 * a4; c41 += b1 * a4;
      c50 += b0 * a5; c51 += b1 * a5;
      c60 += b0 * a6; c61 += b1 * a6;
      c70 += b0 * a7; c71 += b1 * a7;
    }
  }

  store(c00, resultOffset, row, column, 0, 0);
  store(c01, resultOffset, row, column, 0, 4);
  store(c10, resultOffset, row, column, 4, 0);
  store(c11, resultOffset, row, column, 4, 4);
  store(c20, resultOffset, row, column, 8, 0);
  store(c21, resultOffset, row, column, 8, 4);
  store(c30, resultOffset, row, column, 12, 0);
  store(c31, resultOffset, row, column, 12, 4);
  store(c40, resultOffset, row, column, 16, 0);
  store(c41, resultOffset, row, column, 16, 4);
  store(c50, resultOffset, row, column, 20, 0);
  store(c51, resultOffset, row, column, 20, 4);
  store(c60, resultOffset, row, column, 24, 0);
  store(c61, resultOffset, row, column, 24, 4);
  store(c70, resultOffset, row, column, 28, 0);
  store(c71, resultOffset, row, column, 28, 4);
}
