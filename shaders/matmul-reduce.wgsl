// Second half of a split product: adds the partial sums of each output in split order, then the epilogue.
//
//   partials  [splits, batch, m, n]
//   bias      [n] for all, or [batch, n]
//   seed      [2], of dropout; not together with a bias
//   residual  [batch, m, n]: added to the result, or what gates it; [batch, m, 2 · n] with has_gate_gradient
//   result    [batch, m, n], or [batch, m, 2 · n] with has_gate_gradient
//
// Continued by matmul-scalar-epilogue.wgsl.
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
  // Of dropout.wgsl.
  dropout_site: u32,
  dropout_rate: f32,
  kept_scale: f32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
// The bias as bits of f32, or the seed of dropout, as in the products.
@group(0) @binding(2) var<storage, read> bias_or_seed: array<u32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

override group_size: u32 = 64;

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
  let bias_i = index / params.matrix * params.bias_stride + index % params.n;
  let value = epilogue(sum, index, bias_i, index);
  if (has_gate_gradient) {
    let place = index + index / params.n * params.n;
    let gradients = gate_gradients(value, residual[place], residual[place + params.n]);
    result[place] = gradients.x;
    result[place + params.n] = gradients.y;
    return;
  }
  result[index] = value;
}
