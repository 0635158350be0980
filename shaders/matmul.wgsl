// Matrix product by register blocking: result[z] = epilogue(alpha · op(a[z]) · op(b[z])), z the batch.
//
//   a         [m, k], or [k, m] when transposeA
//   b         [k, n], or [n, k] when transposeB
//   bias      [n]
//   residual  as result
//   result    [batch, m, n]; with splits > 1, partial sums [splits, batch, m, n]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · headSize]; partial
// sums are contiguous.
//
// For CPU adapters. Each invocation owns a block of the result, up to 16×16, and shares nothing: on a CPU a
// barrier costs more than the loads it saves, a load costs as much as some seven multiply-adds and a spilled
// register next to nothing, so the largest block that the result fills is best. Blocks are numbered through
// the whole batch, so narrow results and small batched products leave no lane idle.
//
// The block is 4×4 matrices in result order: column i of one is four columns of the result's row i. A block
// of fewer than 16 rows or columns stores fewer of them, and the compiler drops what nobody stores.
//
// Invariant: every load is clamped into its matrix and every store is guarded, so m, n and k are free and
// the loop over k has no branch. aVec4 and bVec4 are a and b once more, for four-wide loads; they are read
// only under vectorA and vectorB, for which row length and strides are multiples of 4.

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

// 4, 8 or 16.
override blockRows: u32 = 16;
override blockColumns: u32 = 16;
override transposeA: bool = false;
override transposeB: bool = false;
override vectorA: bool = false;
override vectorB: bool = false;

// One vector of a CPU adapter's lanes.
const workgroupSize = 8u;

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
  if (vectorA) { return aVec4[(row + k) / 4]; }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a[i.x], a[i.y], a[i.z], a[i.w]), steps < vec4u(params.k));
}

fn fourOfB(column: u32, k: u32) -> vec4f {
  if (vectorB) { return bVec4[(column + k) / 4]; }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = column + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b[i.x], b[i.y], b[i.z], b[i.w]), steps < vec4u(params.k));
}

// One k of the four rows of op(a) that start at `rows`, zero beyond the last k.
fn sliceOfA(rows: vec4u, k: u32) -> vec4f {
  let i = rows + min(k, params.k - 1) * params.aRowStride;
  if (vectorA) { return select(vec4f(), aVec4[i.x / 4], k < params.k); }
  return select(vec4f(), vec4f(a[i.x], a[i.y], a[i.z], a[i.w]), k < params.k);
}

fn sliceOfB(columns: vec4u, k: u32) -> vec4f {
  let i = columns + min(k, params.k - 1) * params.bRowStride;
  if (vectorB) { return select(vec4f(), bVec4[i.x / 4], k < params.k); }
  return select(vec4f(), vec4f(b[i.x], b[i.y], b[i.z], b[i.w]), k < params.k);
}

// Four rows of op(a) by k … k + 3; a matrix column for each row.
fn blockOfA(rows: vec4u, k: u32) -> mat4x4f {
  if (transposeA) {
    return transpose(mat4x4f(
      sliceOfA(rows, k), sliceOfA(rows, k + 1), sliceOfA(rows, k + 2), sliceOfA(rows, k + 3)
    ));
  }
  return mat4x4f(fourOfA(rows.x, k), fourOfA(rows.y, k), fourOfA(rows.z, k), fourOfA(rows.w, k));
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

// Offsets at k = 0 of four rows of op(a), clamped to its last.
fn rowsFrom(offset: u32, row: u32) -> vec4u {
  // Rows that share a vec4 stay together: m is then a multiple of 4, and so is row.
  let last = select(vec4u(params.m - 1), params.m - vec4u(4, 3, 2, 1), transposeA && vectorA);
  let rows = min(row + vec4u(0, 1, 2, 3), last);
  return offset + rows * select(params.aRowStride, 1, transposeA);
}

// Offsets at k = 0 of four columns of op(b), clamped to its last.
fn columnsFrom(offset: u32, column: u32) -> vec4u {
  let last = select(vec4u(params.n - 1), params.n - vec4u(4, 3, 2, 1), !transposeB && vectorB);
  let columns = min(column + vec4u(0, 1, 2, 3), last);
  return offset + columns * select(1, params.bRowStride, transposeB);
}

fn storeRow(values: vec4f, offset: u32, row: u32, column: u32) {
  if (row >= params.m) { return; }
  let index = offset + row * params.resultRowStride + column;
  for (var i = 0u; i < 4 && column + i < params.n; i++) {
    result[index + i] = epilogue(values[i], index + i, column + i);
  }
}

// Stores the 4×4 part of the block at (down, across).
fn store(values: mat4x4f, offset: u32, row: u32, column: u32, down: u32, across: u32) {
  if (down >= blockRows || across >= blockColumns) { return; }
  storeRow(values[0], offset, row + down, column + across);
  storeRow(values[1], offset, row + down + 1, column + across);
  storeRow(values[2], offset, row + down + 2, column + across);
  storeRow(values[3], offset, row + down + 3, column + across);
}

@compute @workgroup_size(workgroupSize)
fn matmul(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let number = id.y * workgroups.x * workgroupSize + id.x;
  let blocksAcross = (params.n + blockColumns - 1) / blockColumns;
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
  let column = number % blocksAcross * blockColumns;
  let rows0 = rowsFrom(aOffset, row);
  let rows1 = rowsFrom(aOffset, row + 4);
  let rows2 = rowsFrom(aOffset, row + 8);
  let rows3 = rowsFrom(aOffset, row + 12);
  let columns0 = columnsFrom(bOffset, column);
  let columns1 = columnsFrom(bOffset, column + 4);
  let columns2 = columnsFrom(bOffset, column + 8);
  let columns3 = columnsFrom(bOffset, column + 12);

  var c00 = mat4x4f(); var c01 = mat4x4f(); var c02 = mat4x4f(); var c03 = mat4x4f();
  var c10 = mat4x4f(); var c11 = mat4x4f(); var c12 = mat4x4f(); var c13 = mat4x4f();
  var c20 = mat4x4f(); var c21 = mat4x4f(); var c22 = mat4x4f(); var c23 = mat4x4f();
  var c30 = mat4x4f(); var c31 = mat4x4f(); var c32 = mat4x4f(); var c33 = mat4x4f();
  var k = slice / params.batch * params.splitLength;
  let end = min(params.k, k + params.splitLength);
  for (; k < end; k += 4) {
    let a0 = blockOfA(rows0, k);
    let a1 = blockOfA(rows1, k);
    let a2 = blockOfA(rows2, k);
    let a3 = blockOfA(rows3, k);
    let b0 = blockOfB(columns0, k);
    let b1 = blockOfB(columns1, k);
    let b2 = blockOfB(columns2, k);
    let b3 = blockOfB(columns3, k);
    c00 += b0 * a0; c01 += b1 * a0; c02 += b2 * a0; c03 += b3 * a0;
    c10 += b0 * a1; c11 += b1 * a1; c12 += b2 * a1; c13 += b3 * a1;
    c20 += b0 * a2; c21 += b1 * a2; c22 += b2 * a2; c23 += b3 * a2;
    c30 += b0 * a3; c31 += b1 * a3; c32 += b2 * a3; c33 += b3 * a3;
  }

  store(c00, resultOffset, row, column, 0, 0);
  store(c01, resultOffset, row, column, 0, 4);
  store(c02, resultOffset, row, column, 0, 8);
  store(c03, resultOffset, row, column, 0, 12);
  store(c10, resultOffset, row, column, 4, 0);
  store(c11, resultOffset, row, column, 4, 4);
  store(c12, resultOffset, row, column, 4, 8);
  store(c13, resultOffset, row, column, 4, 12);
  store(c20, resultOffset, row, column, 8, 0);
  store(c21, resultOffset, row, column, 8, 4);
  store(c22, resultOffset, row, column, 8, 8);
  store(c23, resultOffset, row, column, 8, 12);
  store(c30, resultOffset, row, column, 12, 0);
  store(c31, resultOffset, row, column, 12, 4);
  store(c32, resultOffset, row, column, 12, 8);
  store(c33, resultOffset, row, column, 12, 12);
}
