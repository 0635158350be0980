// Second half of a split product: adds the partial sums of each output in split order, then the epilogue.
//
//   partials  [splits, batch, m, n]
//   bias      [n]
//   residual  [batch, m, n]
//   result    [batch, m, n]
//
// Invariant: one invocation adds one output's partial sums, always from the first split to the last, so
// that the same problem gives the same bits on every run (float atomics would not).

struct Params {
  // batch · m · n.
  count: u32,
  n: u32,
  splits: u32,
  // Sum of BIAS, RELU and RESIDUAL: a uniform, so that one pipeline serves every epilogue.
  epilogue: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

override group_size: u32 = 64;

const BIAS = 1u;
const RELU = 2u;
const RESIDUAL = 4u;

fn epilogue(sum: f32, index: u32) -> f32 {
  var value = params.alpha * sum;
  if ((params.epilogue & BIAS) != 0u) { value += bias[index % params.n]; }
  if ((params.epilogue & RELU) != 0u) { value = select(value, 0.0, value < 0.0); }
  if ((params.epilogue & RESIDUAL) != 0u) { value += residual[index]; }
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
