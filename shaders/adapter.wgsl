// Bottleneck adapter, forward and backward, both products in one dispatch. For GPUs, where few rows share weights.
//
//   forward:   hidden = relu(x · down + down_bias)        result = residual + hidden · up + up_bias
//   backward:  hidden = dy · upᵀ where gate > 0, else 0   result = residual + hidden · downᵀ
//
//   values           [instances, rows, width]       x or dy
//   first, second    a matrix [width, bottleneck] and one [bottleneck, width], per instance or shared by all
//                    (weight_stride 0); both stored the other way round where `transposed`
//   biases           [bottleneck] and [width], per instance or shared
//   residual, result [instances, rows, width]
//   gate, hidden     [instances, rows, bottleneck]  gate: hidden of forward
//
// A workgroup takes TILE_ROWS rows of one instance through both products. An invocation has a block of 4 rows by 4
// columns and sums every so many of its products, SPLITS invocations next to one another a block: so neighbours read
// neighbours however a matrix is stored, and few outputs with long sums still keep all invocations busy. `hidden`
// goes through storage (backward needs it), so the bottleneck has no limit.
//
// Both products are the same functions, told by `of_second`, a constant wherever they are called.
//
// Invariant: a sum's parts are those of a fixed stride over its inputs, added in order. Rows past the end
// repeat the last one and are not stored.

struct Params {
  instances: u32,
  rows: u32,
  width: u32,
  bottleneck: u32,
  // Elements from one instance's weights or biases to the next one's.
  weight_stride: u32,
  first_bias_stride: u32,
  second_bias_stride: u32,
}

const LANES = 256u;
// The host writes other values here: rows of a tile, 4 to 16, and parts of a sum in either product.
const TILE_ROWS = 16u;
const FIRST_SPLITS = 4u;
const SECOND_SPLITS = 1u;

// Columns that a tile has at once.
const FIRST_COLUMNS = 16u * LANES / TILE_ROWS / FIRST_SPLITS;
const SECOND_COLUMNS = 16u * LANES / TILE_ROWS / SECOND_SPLITS;

override transposed: bool = false;
override has_residual: bool = false;
// Whether `result` is wanted, or `hidden` alone.
override has_result: bool = true;
// Whether `width` and `bottleneck` are multiples of four.
override vectorized: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> first: array<vec4f>;
@group(0) @binding(3) var<storage, read> second: array<vec4f>;
@group(0) @binding(4) var<storage, read> first_bias: array<f32>;
@group(0) @binding(5) var<storage, read> second_bias: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(8) var<storage, read_write> result: array<f32>;

// Every invocation's block of sums, a vec4 a row.
var<workgroup> parts: array<array<vec4f, 4>, LANES>;

// The rows that a workgroup works on, among all rows.
struct Tile {
  instance: u32,
  first_row: u32,
  // The row after the instance's last.
  end: u32,
}

fn tile_of(number: u32) -> Tile {
  let tiles = (params.rows + TILE_ROWS - 1u) / TILE_ROWS;
  let instance = number / tiles;
  let start = instance * params.rows;
  return Tile(instance, start + number % tiles * TILE_ROWS, start + params.rows);
}

// Four rows of the tile; past the instance's end the last one is repeated.
fn rows_of(tile: Tile, row_block: u32) -> vec4u {
  return min(tile.first_row + 4u * row_block + vec4u(0u, 1u, 2u, 3u), vec4u(tile.end - 1u));
}

// Four neighbours among the inputs of either product, and one of them.
fn input_vector(of_second: bool, i: u32) -> vec4f {
  if (of_second) { return vec4f(hidden[i], hidden[i + 1u], hidden[i + 2u], hidden[i + 3u]); }
  return values[i / 4u];
}

fn input_at(of_second: bool, i: u32) -> f32 {
  if (of_second) { return hidden[i]; }
  return values[i / 4u][i % 4u];
}

// Vector `i` of either matrix.
fn weight_vector(of_second: bool, i: u32) -> vec4f {
  if (of_second) { return second[i]; }
  return first[i];
}

// Inputs k … k + 3 of four rows of a product; zeros beyond the last.
fn inputs_of(of_second: bool, rows: vec4u, k: u32) -> mat4x4f {
  let depth = select(params.width, params.bottleneck, of_second);
  let i = rows * depth + k;
  if (vectorized) {
    return mat4x4f(
      input_vector(of_second, i.x), input_vector(of_second, i.y),
      input_vector(of_second, i.z), input_vector(of_second, i.w)
    );
  }
  var inputs: mat4x4f;
  for (var r = 0u; r < 4u; r++) {
    for (var j = 0u; j < min(4u, depth - k); j++) { inputs[r][j] = input_at(of_second, i[r] + j); }
  }
  return inputs;
}

// Rows k … k + 3 of a matrix, each by columns column … column + 3; zeros beyond its end.
fn weights_of(of_second: bool, base: u32, k: u32, column: u32) -> mat4x4f {
  let depth = select(params.width, params.bottleneck, of_second);
  let columns = select(params.bottleneck, params.width, of_second);
  let start = base + select(k * columns + column, column * depth + k, transposed);
  let along_k = select(columns, 1u, transposed);
  let across = select(1u, depth, transposed);
  if (vectorized) {
    let i = start / 4u;
    let step = select(along_k, across, transposed) / 4u;
    let lines = mat4x4f(
      weight_vector(of_second, i), weight_vector(of_second, i + step),
      weight_vector(of_second, i + 2u * step), weight_vector(of_second, i + 3u * step)
    );
    if (transposed) { return transpose(lines); }
    return lines;
  }
  var weights: mat4x4f;
  for (var j = 0u; j < min(4u, depth - k); j++) {
    for (var c = 0u; c < min(4u, columns - column); c++) {
      let i = start + j * along_k + c * across;
      weights[j][c] = weight_vector(of_second, i / 4u)[i % 4u];
    }
  }
  return weights;
}

// sums + each column of `inputs` (a row of the tile) · weights.
fn plus_products(sums: mat4x4f, inputs: mat4x4f, weights: mat4x4f) -> mat4x4f {
  var result = sums;
  for (var r = 0u; r < 4u; r++) {
    let x = inputs[r];
    result[r] += weights[0] * x.x;
    result[r] += weights[1] * x.y;
    result[r] += weights[2] * x.z;
    result[r] += weights[3] * x.w;
  }
  return result;
}

// Leaves this invocation's part of a product's columns from first_column on in `parts`.
fn leave_parts(of_second: bool, tile: Tile, first_column: u32, lane: u32) {
  let depth = select(params.width, params.bottleneck, of_second);
  let columns = select(params.bottleneck, params.width, of_second);
  let splits = select(FIRST_SPLITS, SECOND_SPLITS, of_second);
  let tile_columns = select(FIRST_COLUMNS, SECOND_COLUMNS, of_second);
  let owned = lane / splits;
  let column = first_column + 4u * owned % tile_columns;
  let rows = rows_of(tile, 4u * owned / tile_columns);
  let base = tile.instance * params.weight_stride;
  var sums: mat4x4f;
  if (column < columns) {
    for (var k = lane % splits * 4u; k < depth; k += splits * 4u) {
      sums = plus_products(sums, inputs_of(of_second, rows, k), weights_of(of_second, base, k, column));
    }
  }
  parts[lane][0] = sums[0]; parts[lane][1] = sums[1]; parts[lane][2] = sums[2]; parts[lane][3] = sums[3];
}

// Sum number `item` of those whose parts are there, [TILE_ROWS, columns].
fn finished(item: u32, splits: u32, columns: u32) -> f32 {
  let row = item / columns;
  let column = item % columns;
  let first_lane = (row / 4u * columns + column) / 4u * splits;
  var sum = parts[first_lane][row % 4u][column % 4u];
  for (var split = 1u; split < splits; split++) { sum += parts[first_lane + split][row % 4u][column % 4u]; }
  return sum;
}

// max(x, 0), but a NaN shows: by its bits, because drivers may compile `x < 0` to a max() that hides it.
fn rectified(x: f32) -> f32 {
  return select(x, 0.0, bitcast<u32>(x) - 0x80000000u <= 0x7f800000u);
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let tile = tile_of(group.y * groups.x + group.x);
  if (tile.instance >= params.instances) { return; }
  for (var first_column = 0u; first_column < params.bottleneck; first_column += FIRST_COLUMNS) {
    leave_parts(false, tile, first_column, lane);
    workgroupBarrier();
    for (var item = lane; item < TILE_ROWS * FIRST_COLUMNS; item += LANES) {
      let row = tile.first_row + item / FIRST_COLUMNS;
      let column = first_column + item % FIRST_COLUMNS;
      if (row >= tile.end || column >= params.bottleneck) { continue; }
      let sum = finished(item, FIRST_SPLITS, FIRST_COLUMNS);
      let before = sum + first_bias[tile.instance * params.first_bias_stride + column];
      hidden[row * params.bottleneck + column] = rectified(before);
    }
    workgroupBarrier();
  }
  storageBarrier();
  for (var first_column = 0u; first_column < params.width; first_column += SECOND_COLUMNS) {
    leave_parts(true, tile, first_column, lane);
    workgroupBarrier();
    for (var item = lane; item < TILE_ROWS * SECOND_COLUMNS; item += LANES) {
      let row = tile.first_row + item / SECOND_COLUMNS;
      let column = first_column + item % SECOND_COLUMNS;
      if (row >= tile.end || column >= params.width) { continue; }
      let sum = finished(item, SECOND_SPLITS, SECOND_COLUMNS);
      let i = row * params.width + column;
      var value = sum + second_bias[tile.instance * params.second_bias_stride + column];
      if (has_residual) { value += residual[i]; }
      result[i] = value;
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(LANES)
fn backward(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let tile = tile_of(group.y * groups.x + group.x);
  if (tile.instance >= params.instances) { return; }
  for (var first_column = 0u; first_column < params.bottleneck; first_column += FIRST_COLUMNS) {
    leave_parts(false, tile, first_column, lane);
    workgroupBarrier();
    for (var item = lane; item < TILE_ROWS * FIRST_COLUMNS; item += LANES) {
      let row = tile.first_row + item / FIRST_COLUMNS;
      let column = first_column + item % FIRST_COLUMNS;
      if (row >= tile.end || column >= params.bottleneck) { continue; }
      let sum = finished(item, FIRST_SPLITS, FIRST_COLUMNS);
      let i = row * params.bottleneck + column;
      hidden[i] = select(sum, 0.0, gate[i] <= 0.0);
    }
    workgroupBarrier();
  }
  if (!has_result) { return; }
  storageBarrier();
  for (var first_column = 0u; first_column < params.width; first_column += SECOND_COLUMNS) {
    leave_parts(true, tile, first_column, lane);
    workgroupBarrier();
    for (var item = lane; item < TILE_ROWS * SECOND_COLUMNS; item += LANES) {
      let row = tile.first_row + item / SECOND_COLUMNS;
      let column = first_column + item % SECOND_COLUMNS;
      if (row >= tile.end || column >= params.width) { continue; }
      let i = row * params.width + column;
      var sum = finished(item, SECOND_SPLITS, SECOND_COLUMNS);
      if (has_residual) { sum += residual[i]; }
      result[i] = sum;
    }
    workgroupBarrier();
  }
}
