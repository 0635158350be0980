// Second half of a split product: adds the partial sums of each output in split order, then the epilogue.
//
//   partials  [splits, batch, m, n]
//   bias      [n] for all, or [batch, n]
//   residual  [batch, m, n]: added to the result, or what gates it
//   result    [batch, m, n]
//
// Invariant: one invocation adds one output's partial sums, always from the first split to the last, so
// that the same problem gives the same bits on every run (float atomics would not).

struct Params {
  // batch · m · n.
  count: u32,
  n: u32,
  splits: u32,
  // m · n.
  matrix: u32,
  // Elements from one batch element's bias to the next one's; 0 shares one.
  bias_stride: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

override group_size: u32 = 64;

// As in the products' own epilogues.
override has_bias: bool = false;
override has_relu: bool = false;
override has_gate: bool = false;
override has_residual: bool = false;

fn epilogue(sum: f32, i: u32) -> f32 {
  var value = params.alpha * sum;
  if (has_bias) { value += bias[i / params.matrix * params.bias_stride + i % params.n]; }
  if (has_relu) { value = select(value, 0.0, value < 0.0); }
  if (has_gate) { value = select(value, 0.0, residual[i] <= 0.0); }
  if (has_residual) { value += residual[i]; }
  return value;
}

@compute @workgroup_size(group_size)
fn reduce(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * group_size + id.x;
  if (index >= params.count) { return; }
  var sum = 0.0;
  for (var split = 0u; split < params.splits; split++) {
    sum += partials[split * params.count + index];
  }
  result[index] = epilogue(sum, index);
}
