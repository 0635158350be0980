// Bottleneck adapter, forward and backward, both products in one dispatch. For GPUs.
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
// A workgroup takes up to sixteen rows of one instance through both products; an item of work is one
// column of four rows, and neighbouring lanes have neighbouring columns. The first product is long and
// narrow, so its sums are cut into SPLITS parts, each by another lane. `hidden` goes through storage
// (backward needs it), so the bottleneck has no limit.
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

const TILE_ROWS = 16u;
const SLOTS = 32u;
const SPLITS = 8u;
const LANES = SLOTS * SPLITS;

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

var<workgroup> parts: array<vec4f, LANES>;

// The workgroup's number among all tiles, and how many tiles an instance has.
fn tile_index(group_id: vec3u, group_counts: vec3u) -> u32 {
  return group_id.y * group_counts.x + group_id.x;
}

fn tiles_per_instance() -> u32 { return (params.rows + TILE_ROWS - 1u) / TILE_ROWS; }

// Numbers among all rows of the four from `first_row`; past the instance's end the last one is repeated.
fn rows_of(first_row: u32, instance: u32) -> vec4u {
  let last = (instance + 1u) * params.rows - 1u;
  return min(vec4u(first_row) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
}

fn value(i: u32) -> f32 { return values[i / 4u][i % 4u]; }
fn first_weight(i: u32) -> f32 { return first[i / 4u][i % 4u]; }
fn second_weight(i: u32) -> f32 { return second[i / 4u][i % 4u]; }

// This lane's part of the sums of values · first in one column, for four rows.
fn first_part(rows: vec4u, base: u32, column: u32, split: u32) -> vec4f {
  let at = rows * params.width;
  let start = base + column * select(1u, params.width, transposed);
  let step = select(params.bottleneck, 1u, transposed);
  var sum = vec4f();
  if (vectorized) {
    for (var k = 4u * split; k < params.width; k += 4u * SPLITS) {
      let x = mat4x4f(
        values[(at.x + k) / 4u], values[(at.y + k) / 4u], values[(at.z + k) / 4u], values[(at.w + k) / 4u]
      );
      let i = start + k * step;
      if (transposed) {
        sum += first[i / 4u] * x;
      } else {
        sum += vec4f(
          first_weight(i), first_weight(i + step), first_weight(i + 2u * step), first_weight(i + 3u * step)
        ) * x;
      }
    }
    return sum;
  }
  for (var k = split; k < params.width; k += SPLITS) {
    let x = vec4f(value(at.x + k), value(at.y + k), value(at.z + k), value(at.w + k));
    sum += first_weight(start + k * step) * x;
  }
  return sum;
}

// Adds up the parts of an item's sums.
fn sum_of_parts(slot: u32) -> vec4f {
  var sum = parts[slot];
  for (var split = 1u; split < SPLITS; split++) { sum += parts[split * SLOTS + slot]; }
  return sum;
}

// The sums of hidden · second in one column, for four rows.
fn second_sums(rows: vec4u, base: u32, column: u32) -> vec4f {
  let at = rows * params.bottleneck;
  let start = base + column * select(1u, params.bottleneck, transposed);
  let step = select(params.width, 1u, transposed);
  var sum = vec4f();
  for (var k = 0u; k < params.bottleneck; k++) {
    let h = vec4f(hidden[at.x + k], hidden[at.y + k], hidden[at.z + k], hidden[at.w + k]);
    sum += second_weight(start + k * step) * h;
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(num_workgroups) group_counts: vec3u,
) {
  let tile = tile_index(group_id, group_counts);
  let instance = tile / tiles_per_instance();
  if (instance >= params.instances) { return; }
  let start = tile % tiles_per_instance() * TILE_ROWS; // among the instance's rows
  let row_groups = (min(TILE_ROWS, params.rows - start) + 3u) / 4u;
  let base = instance * params.weight_stride;
  let slot = lane % SLOTS;
  let hidden_items = row_groups * params.bottleneck;
  for (var begin = 0u; begin < hidden_items; begin += SLOTS) {
    let item = begin + slot;
    let column = item % params.bottleneck;
    let group = item / params.bottleneck;
    let first_row = instance * params.rows + start + 4u * group;
    let rows = rows_of(first_row, instance);
    if (item < hidden_items) { parts[lane] = first_part(rows, base, column, lane / SLOTS); }
    workgroupBarrier();
    if (lane < SLOTS && item < hidden_items) {
      let bias = first_bias[instance * params.first_bias_stride + column];
      let sums = sum_of_parts(slot) + bias;
      let count = min(4u, params.rows - start - 4u * group);
      for (var r = 0u; r < count; r++) {
        // Not max(): on some drivers max(NaN, 0) is 0, and a NaN must not be hidden.
        hidden[(first_row + r) * params.bottleneck + column] = select(sums[r], 0.0, sums[r] < 0.0);
      }
    }
    workgroupBarrier();
  }
  storageBarrier();
  for (var item = lane; item < row_groups * params.width; item += LANES) {
    let column = item % params.width;
    let group = item / params.width;
    let first_row = instance * params.rows + start + 4u * group;
    let rows = rows_of(first_row, instance);
    let bias = second_bias[instance * params.second_bias_stride + column];
    let sums = second_sums(rows, base, column) + bias;
    let count = min(4u, params.rows - start - 4u * group);
    for (var r = 0u; r < count; r++) {
      let at = (first_row + r) * params.width + column;
      var sum = sums[r];
      if (has_residual) { sum += residual[at]; }
      result[at] = sum;
    }
  }
}

@compute @workgroup_size(LANES)
fn backward(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(num_workgroups) group_counts: vec3u,
) {
  let tile = tile_index(group_id, group_counts);
  let instance = tile / tiles_per_instance();
  if (instance >= params.instances) { return; }
  let start = tile % tiles_per_instance() * TILE_ROWS; // among the instance's rows
  let row_groups = (min(TILE_ROWS, params.rows - start) + 3u) / 4u;
  let base = instance * params.weight_stride;
  let slot = lane % SLOTS;
  let hidden_items = row_groups * params.bottleneck;
  for (var begin = 0u; begin < hidden_items; begin += SLOTS) {
    let item = begin + slot;
    let column = item % params.bottleneck;
    let group = item / params.bottleneck;
    let first_row = instance * params.rows + start + 4u * group;
    let rows = rows_of(first_row, instance);
    if (item < hidden_items) { parts[lane] = first_part(rows, base, column, lane / SLOTS); }
    workgroupBarrier();
    if (lane < SLOTS && item < hidden_items) {
      let sums = sum_of_parts(slot);
      let count = min(4u, params.rows - start - 4u * group);
      for (var r = 0u; r < count; r++) {
        let at = (first_row + r) * params.bottleneck + column;
        hidden[at] = select(sums[r], 0.0, gate[at] <= 0.0);
      }
    }
    workgroupBarrier();
  }
  if (!has_result) { return; }
  storageBarrier();
  for (var item = lane; item < row_groups * params.width; item += LANES) {
    let column = item % params.width;
    let group = item / params.width;
    let first_row = instance * params.rows + start + 4u * group;
    let rows = rows_of(first_row, instance);
    let sums = second_sums(rows, base, column);
    let count = min(4u, params.rows - start - 4u * group);
    for (var r = 0u; r < count; r++) {
      let at = (first_row + r) * params.width + column;
      var sum = sums[r];
      if (has_residual) { sum += residual[at]; }
      result[at] = sum;
    }
  }
}
