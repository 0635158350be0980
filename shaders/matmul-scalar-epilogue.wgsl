// What is done with one finished sum of a matrix product: bias, ReLU, dropout, gates, residual; as matmul-epilogue.wgsl
// for four.
//
// Continues matmul-thin.wgsl and matmul-reduce.wgsl, which have the bindings.

// What is done with a finished sum, in this order.
override has_bias: bool = false;
override has_relu: bool = false;
override has_dropout: bool = false;
// `residual` is a gate: the value where it is positive, else 0.
override has_gate: bool = false;
override has_residual: bool = false;
// The sum is the adjoint of a GELU gate's result: stored is the gradient of its x, in rows twice as long.
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

// The gradients of a GELU gate's a and b from its result's.
fn gate_gradients(adjoint: f32, a: f32, b: f32) -> vec2f {
  let clamped = clamp(a, -10.0, 10.0);
  let open = 1.0 / (1.0 + exp(-SLOPE * clamped * (1.0 + CUBIC * clamped * clamped)));
  let slope = SLOPE * (1.0 + 3.0 * CUBIC * clamped * clamped);
  return vec2f(adjoint * b * (open + a * open * (1.0 - open) * slope), adjoint * a * open);
}

// The value at `i` of the result, or the adjoint of a gate's, from its finished sum; the bias to add lies at `bias_i`, and
// dropout numbers it `element`.
fn epilogue(sum: f32, i: u32, bias_i: u32, element: u32) -> f32 {
  var value = params.alpha * sum;
  if (has_bias) { value += bitcast<f32>(bias_or_seed[bias_i]); }
  if (has_relu) { value = rectified(value); }
  if (has_dropout) { value *= kept(element); }
  if (has_gate) { value = select(value, 0.0, residual[i] <= 0.0); }
  if (has_residual) { value += residual[i]; }
  return value;
}
