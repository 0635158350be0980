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

// Elements begin … end − 1 of `values`, the first of which takes bias[bias].
struct Stretch {
  begin: u32,
  end: u32,
  bias: u32,
}

fn stretch_of(index: u32) -> Stretch {
  let stretches = (params.columns + STRETCH - 1u) / STRETCH;
  let row = index / stretches;
  if (row >= params.instances * params.rows) { return Stretch(0u, 0u, 0u); }
  let column = (index - row * stretches) * STRETCH;
  let begin = row * params.columns + column;
  let end = begin + min(STRETCH, params.columns - column);
  return Stretch(begin, end, row / params.rows * params.bias_stride + column);
}

@compute @workgroup_size(GROUP)
fn add_bias_relu(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stretch = stretch_of(id.y * (groups.x * GROUP) + id.x);
  for (var i = stretch.begin; i < stretch.end; i++) {
    let sum = values[i] + bias[stretch.bias + i - stretch.begin];
    // Not max(): on some drivers max(NaN, 0) is 0, and a NaN must not be hidden.
    values[i] = select(sum, 0.0, sum < 0.0);
  }
}

@compute @workgroup_size(GROUP)
fn add_bias(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stretch = stretch_of(id.y * (groups.x * GROUP) + id.x);
  for (var i = stretch.begin; i < stretch.end; i++) {
    var sum = values[i] + bias[stretch.bias + i - stretch.begin];
    if (has_residual) { sum += residual[i]; }
    values[i] = sum;
  }
}

@compute @workgroup_size(GROUP)
fn gate_gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stretch = stretch_of(id.y * (groups.x * GROUP) + id.x);
  for (var i = stretch.begin; i < stretch.end; i++) {
    values[i] = select(values[i], 0.0, gate[i] <= 0.0);
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
