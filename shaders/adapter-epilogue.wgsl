// What surrounds an adapter's products where these are computed on their own (see adapter.wgsl for the whole).
//
//   add_bias_relu:  values = relu(values + bias)                       after the first product
//   add_bias:       values = values + bias + residual                  after the second
//   gate_gradient:  values = values where gate > 0, else 0             after the first, backward
//   sum_rows:       sums[i] = Σ rows of summands[i]                    gradient of a bias
//
//   values, residual, gate, summands  [instances, rows, columns]; values overwritten
//   bias, sums                        [instances, columns], or one [columns] for all (bias_stride 0)
//
// For CPU adapters: one invocation takes STRETCH consecutive elements of a row, because there an integer
// division costs as much as all else that is done to an element. In a sum it takes one column of an
// instance and adds its rows in order.

struct Params {
  instances: u32,
  // Of an instance.
  rows: u32,
  columns: u32,
  // Elements from one instance's bias to the next one's.
  bias_stride: u32,
}

const GROUP = 64u;
const STRETCH = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read> gate: array<f32>;
@group(0) @binding(4) var<storage, read> summands: array<f32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

override has_residual: bool = false;

// The stretch's row among all rows, and its first column.
fn row_of(index: u32) -> u32 { return index / stretches(); }
fn column_of(index: u32) -> u32 { return index % stretches() * STRETCH; }
fn stretches() -> u32 { return (params.columns + STRETCH - 1u) / STRETCH; }

@compute @workgroup_size(GROUP)
fn add_bias_relu(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * GROUP) + id.x;
  let row = row_of(index);
  if (row >= params.instances * params.rows) { return; }
  let base = row * params.columns;
  let first = column_of(index);
  let bias_base = row / params.rows * params.bias_stride;
  for (var column = first; column < min(first + STRETCH, params.columns); column++) {
    let sum = values[base + column] + bias[bias_base + column];
    // Not max(): on some drivers max(NaN, 0) is 0, and a NaN must not be hidden.
    values[base + column] = select(sum, 0.0, sum < 0.0);
  }
}

@compute @workgroup_size(GROUP)
fn add_bias(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * GROUP) + id.x;
  let row = row_of(index);
  if (row >= params.instances * params.rows) { return; }
  let base = row * params.columns;
  let first = column_of(index);
  let bias_base = row / params.rows * params.bias_stride;
  for (var column = first; column < min(first + STRETCH, params.columns); column++) {
    var sum = values[base + column] + bias[bias_base + column];
    if (has_residual) { sum += residual[base + column]; }
    values[base + column] = sum;
  }
}

@compute @workgroup_size(GROUP)
fn gate_gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * GROUP) + id.x;
  let row = row_of(index);
  if (row >= params.instances * params.rows) { return; }
  let base = row * params.columns;
  let first = column_of(index);
  for (var column = first; column < min(first + STRETCH, params.columns); column++) {
    values[base + column] = select(values[base + column], 0.0, gate[base + column] <= 0.0);
  }
}

@compute @workgroup_size(GROUP)
fn sum_rows(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * GROUP) + id.x;
  let instance = i / params.columns;
  if (instance >= params.instances) { return; }
  let first = instance * params.rows * params.columns + i % params.columns;
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) { sum += summands[first + row * params.columns]; }
  sums[i] = sum;
}
