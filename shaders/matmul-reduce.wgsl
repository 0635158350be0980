// Second half of a split product: adds the partial sums of each output in split order, then the epilogue.
//
//   partials  [splits, batch, m, n]
//   bias      [n] for all, or [batch, n]
//   seed      [2], of dropout; not together with a bias
//   residual  [batch, m, n]: added to the result, or what gates it; [batch, m, 2 · n] with has_gate_gradient
//   result    [batch, m, n], or [batch, m, 2 · n] with has_gate_gradient
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

// As in the products' own epilogues.
override has_bias: bool = false;
override has_relu: bool = false;
override has_dropout: bool = false;
override has_gate: bool = false;
override has_residual: bool = false;
override has_gate_gradient: bool = false;

// Of the GELU, as in gelu-gate.wgsl.
const SLOPE = 1.5957691216057308;
const CUBIC = 0.044715;

// What dropout multiplies an element of the result by, as in dropout.wgsl.
fn kept(element: u32) -> f32 {
  var v = vec3u(element, params.dropout_site ^ bias_or_seed[0], bias_or_seed[1]) * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z;
  let uniform_number = f32(v.x >> 8u) * (1.0 / 16777216.0);
  return select(0.0, params.kept_scale, uniform_number >= params.dropout_rate);
}

// max(x, 0), but a NaN shows: by its bits, because drivers may compile `x < 0` to a max() that hides it.
fn rectified(x: f32) -> f32 {
  return select(x, 0.0, bitcast<u32>(x) - 0x80000000u <= 0x7f800000u);
}

fn epilogue(sum: f32, i: u32) -> f32 {
  var value = params.alpha * sum;
  if (has_bias) { value += bitcast<f32>(bias_or_seed[i / params.matrix * params.bias_stride + i % params.n]); }
  if (has_relu) { value = rectified(value); }
  if (has_dropout) { value *= kept(i); }
  if (has_gate) { value = select(value, 0.0, residual[i] <= 0.0); }
  if (has_residual) { value += residual[i]; }
  return value;
}

// The gradients of a GELU gate's a and b, which lie at `i` of the residual and half a row further on, from its
// result's.
fn gate_gradients(adjoint: f32, i: u32) -> vec2f {
  let a = residual[i];
  let b = residual[i + params.n];
  let clamped = clamp(a, -10.0, 10.0);
  let open = 1.0 / (1.0 + exp(-SLOPE * clamped * (1.0 + CUBIC * clamped * clamped)));
  let slope = SLOPE * (1.0 + 3.0 * CUBIC * clamped * clamped);
  return vec2f(adjoint * b * (open + a * open * (1.0 - open) * slope), adjoint * a * open);
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
  let value = epilogue(sum, index);
  if (has_gate_gradient) {
    let place = index + index / params.n * params.n;
    let gradients = gate_gradients(value, place);
    result[place] = gradients.x;
    result[place + params.n] = gradients.y;
    return;
  }
  result[index] = value;
}
