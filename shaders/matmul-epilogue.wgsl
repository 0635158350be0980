// What is done with the finished sums of a matrix product: bias, ReLU, dropout, gates, residual.
//
//   bias      [n], or [m] when the result is stored transposed; for all, or for each batch element
//   seed      [2], of dropout; not together with a bias
//   residual  as result: added to it, or what gates it, or x of a GELU gate (gelu-gate.wgsl)
//
// Continues matmul.wgsl, matmul-subgroup.wgsl and matmul-tiled.wgsl, as matmul-norm.wgsl and
// matmul-norm-gradient.wgsl do where the product is part of an RMS norm; together with matmul-dropout.wgsl.

// The bias as bits of f32, or the seed of dropout: a stage may bind only eight.
@group(0) @binding(5) var<storage, read> bias_or_seed: array<u32>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;

// What is done with a finished sum, in this order. Overrides, not uniforms: on a CPU adapter every branch of
// an epilogue costs its loads, taken or not.
override has_bias: bool = false;
override has_relu: bool = false;
override has_dropout: bool = false;
// `residual` is a gate: the value where it is positive, else 0.
override has_gate: bool = false;
override has_residual: bool = false;
// The sum is the adjoint of a GELU gate's result: stored is the gradient of its x, in rows twice as long.
override has_gate_gradient: bool = false;
// Added to what the result holds.
override accumulate: bool = false;

// Sums over k for every row of op(a), of which a norm is made: of none here.
const sums_squares = false;
const sums_products = false;

fn scale_at(k: u32) -> f32 { return 1.0; }
fn partner_vec4(i: u32) -> vec4f { return vec4f(); }
fn row_statistics(sums: vec4f) -> vec4f { return sums; }

// Of the GELU, as in gelu-gate.wgsl.
const SLOPE = 1.5957691216057308;
const CUBIC = 0.044715;

fn prepare_epilogue() {
  if (has_dropout) { set_dropout_key(vec2u(bias_or_seed[0], bias_or_seed[1])); }
}

fn bias_at(i: vec4u) -> vec4f {
  return bitcast<vec4f>(vec4u(bias_or_seed[i.x], bias_or_seed[i.y], bias_or_seed[i.z], bias_or_seed[i.w]));
}

fn residual_at(i: vec4u) -> vec4f {
  if (vector_result) { return residual[i.x / 4]; }
  return vec4f(
    residual[i.x / 4][i.x % 4], residual[i.y / 4][i.y % 4], residual[i.z / 4][i.z % 4], residual[i.w / 4][i.w % 4]
  );
}

// The gradient of a GELU gate's a, whose four lie at `i` of x, from that of its result. That of b, half a row further
// on, is stored.
fn gate_gradient(adjoint: vec4f, i: vec4u) -> vec4f {
  let b_i = i + params.result_row_stride / 2;
  let a = residual_at(i);
  let b = residual_at(b_i);
  let clamped = clamp(a, vec4f(-10.0), vec4f(10.0));
  let open = 1.0 / (1.0 + exp(-SLOPE * clamped * (1.0 + CUBIC * clamped * clamped)));
  let slope = SLOPE * (1.0 + 3.0 * CUBIC * clamped * clamped);
  let b_gradient = adjoint * a * open;
  if (vector_result) { result_vec4[b_i.x / 4] = b_gradient; }
  if (!vector_result) { store_four(b_gradient, b_i.x, b_i.w - b_i.x + 1); }
  return adjoint * b * (open + a * open * (1.0 - open) * slope);
}

// max(x, 0), but a NaN shows: by its bits, because drivers may compile `x < 0` to a max() that hides it.
fn rectified(x: vec4f) -> vec4f {
  return select(x, vec4f(), bitcast<vec4u>(x) - 0x80000000u <= vec4u(0x7f800000u));
}

// The values to store at `i` of a row of the result from their finished sums; the biases to add lie at `bias_i`.
fn epilogue(sums: vec4f, row_statistic: f32, row: u32, i: vec4u, bias_i: vec4u) -> vec4f {
  var values = params.alpha * sums;
  if (has_bias) { values += bias_at(bias_i); }
  if (has_relu) { values = rectified(values); }
  // Without a bias, bias_i is the column: rows of a gate's result are half as long as those of its x.
  if (has_dropout) { values *= kept(select(i, (i + bias_i) / 2, has_gate_gradient)); }
  if (has_gate) { values = select(values, vec4f(), residual_at(i) <= vec4f()); }
  if (has_residual) { values += residual_at(i); }
  if (has_gate_gradient) { values = gate_gradient(values, i); }
  if (accumulate && vector_result) { values += result_vec4[i.x / 4]; }
  if (accumulate && !vector_result) { values += vec4f(result[i.x], result[i.y], result[i.z], result[i.w]); }
  return values;
}
