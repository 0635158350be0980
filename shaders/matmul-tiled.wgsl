// Matrix product in workgroup tiles: result[z] = epilogue(alpha · op(a[z]) · op(b[z])), z the batch.
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
// For GPUs. 8×8 invocations make a tile of 32×32, 4×4 each, in steps of 16 along k: the shape that does well
// from small mobile GPUs (few registers, 4 KiB of workgroup memory) to large ones. The first half of the
// invocations fetch a 4×4 block of a, the others one of b, so that a block is turned in registers as the layouts
// ask and workgroup memory is always read as vec4 along the tile. The blocks of the next step are
// fetched before the products of this one, which hide their latency.
//
// Invariant: every load is clamped into its matrix (beyond the last k it gives zero) and every store is
// guarded, so m, n and k are free and no barrier is in divergent flow. aVec4 and bVec4 are a and b once more, for
// four-wide loads; they are read only under vectorA and vectorB, for which row length and strides are
// multiples of 4.

struct Params {
  batch: u32,
  m: u32,
  n: u32,
  k: u32,
  // Elements from one group of matrices to the next; 0 shares one group among the whole batch.
  aStride: u32,
  bStride: u32,
  splits: u32,
  // Length of k that one split sums, a multiple of 16.
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

override transposeA: bool = false;
override transposeB: bool = false;
override vectorA: bool = false;
override vectorB: bool = false;

// Side of a tile, and its step along k.
const tileSize = 32u;
const tileStep = 16u;
// Blocks of 4 along the side and along the step.
const sideBlocks = 8u;
const stepBlocks = 4u;

// op(a) and op(b) of one step: [tileStep, sideBlocks], vec4s along the side.
var<workgroup> tileA: array<vec4f, 128>;
var<workgroup> tileB: array<vec4f, 128>;

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
  if (vectorA) {
    return select(vec4f(), aVec4[(row + min(k, params.k - 4)) / 4], k < params.k);
  }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a[i.x], a[i.y], a[i.z], a[i.w]), steps < vec4u(params.k));
}

fn fourOfB(column: u32, k: u32) -> vec4f {
  if (vectorB) {
    return select(vec4f(), bVec4[(column + min(k, params.k - 4)) / 4], k < params.k);
  }
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

// Four rows of op(a) by k … k + 3; a matrix column for each k.
fn blockOfA(rows: vec4u, k: u32) -> mat4x4f {
  if (!transposeA) {
    return transpose(mat4x4f(
      fourOfA(rows.x, k), fourOfA(rows.y, k), fourOfA(rows.z, k), fourOfA(rows.w, k)
    ));
  }
  return mat4x4f(
    sliceOfA(rows, k), sliceOfA(rows, k + 1), sliceOfA(rows, k + 2), sliceOfA(rows, k + 3)
  );
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

@compute @workgroup_size(64)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let tilesAcross = (params.n + tileSize - 1) / tileSize;
  let tilesDown = (params.m + tileSize - 1) / tileSize;
  // A slice is one split of one batch element.
  let slice = number / (tilesAcross * tilesDown);
  if (slice >= params.splits * params.batch) { return; }
  let batch = slice % params.batch;
  let outer = batch / params.heads;
  let head = batch % params.heads;
  let aOffset = outer * params.aStride + head * params.aHeadStride;
  let bOffset = outer * params.bStride + head * params.bHeadStride;
  // Only a contiguous result is split, so that what follows it is the next split.
  let resultOffset = slice / params.heads * params.resultStride + head * params.resultHeadStride;
  let firstRow = number / tilesAcross % tilesDown * tileSize;
  let firstColumn = number % tilesAcross * tileSize;

  // The block that this invocation fetches; neighbours fetch along what is contiguous in memory.
  let fetchesA = local < 32;
  let alongStep = select(transposeB, !transposeA, fetchesA);
  let part = local % 32;
  let side = select(part % sideBlocks, part / stepBlocks, alongStep);
  let step = select(part / sideBlocks, part % stepBlocks, alongStep);
  let rows = rowsFrom(aOffset, firstRow + side * 4);
  let columns = columnsFrom(bOffset, firstColumn + side * 4);
  let place = step * 4 * sideBlocks + side;

  let down = local / sideBlocks;
  let across = local % sideBlocks;
  var sums = mat4x4f();
  let start = slice / params.batch * params.splitLength;
  let end = min(params.k, start + params.splitLength);
  var fetched: mat4x4f;
  if (fetchesA) { fetched = blockOfA(rows, start + step * 4); }
  else { fetched = blockOfB(columns, start + step * 4); }
  for (var k = start; k < end; k += tileStep) {
    workgroupBarrier();
    if (fetchesA) {
      tileA[place] = fetched[0];
      tileA[place + sideBlocks] = fetched[1];
      tileA[place + 2 * sideBlocks] = fetched[2];
      tileA[place + 3 * sideBlocks] = fetched[3];
    } else {
      tileB[place] = fetched[0];
      tileB[place + sideBlocks] = fetched[1];
      tileB[place + 2 * sideBlocks] = fetched[2];
      tileB[place + 3 * sideBlocks] = fetched[3];
    }
    workgroupBarrier();
    let next = k + tileStep + step * 4;
    if (fetchesA) { fetched = blockOfA(rows, next); }
    else { fetched = blockOfB(columns, next); }
    for (var i = 0u; i < tileStep; i++) {
      let x = tileA[i * sideBlocks + down];
      let y = tileB[i * sideBlocks + across];
      sums += mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y);
    }
  }

  let row = firstRow + down * 4;
  let column = firstColumn + across * 4;
  storeRow(sums[0], resultOffset, row, column);
  storeRow(sums[1], resultOffset, row + 1, column);
  storeRow(sums[2], resultOffset, row + 2, column);
  storeRow(sums[3], resultOffset, row + 3, column);
}
