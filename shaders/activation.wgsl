// Activations of feed-forward layers, alone or as a gate (Shazeer 2020), and their gradients:
//
//   alone:   y = f(a)
//   gated:   y = f(a) · b
//
//   x, x_gradient   [rows, columns], or [rows, 2 · columns] with a gate: a row of which is one of a and one of b
//   y, gradient     [rows, columns]
//
// f is the exact GELU (of erf), its tanh form (Hendrycks & Gimpel 2016), or SiLU; all three are a · openness(a), and
// the factor `a` stays unclamped, so that a NaN shows. One invocation per element of y. relu and the tanh form with
// a gate, which most checkpoints have, are faster in elementwise.wgsl and gelu-gate.wgsl.

const GELU = 0u;
const GELU_TANH = 1u;
const SILU = 2u;
const RELU = 3u;

struct Params {
  // Floats of y, and of one of its rows.
  count: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;

override kind: u32 = GELU;
override gated: bool = false;

// 1 / (1 + exp(−v)); exp of large numbers overflows on some drivers.
fn logistic(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(v, -80.0, 80.0)));
}

// erfc(z) for z ≥ 0, to 1.2e-7 of itself (Press et al., Numerical Recipes, "erfcc"): in the tail, too, where
// 1 − erf would have no digits left.
fn erfc_positive(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * z);
  let series = 1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
    + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))));
  return t * exp(-z * z - 1.26551223 + t * series);
}

// f(a) / a.
fn openness(a: f32) -> f32 {
  switch (kind) {
    case GELU: {
      let tail = 0.5 * erfc_positive(min(abs(a) * 0.7071067811865476, 9.0));
      return select(tail, 1.0 - tail, a > 0.0);
    }
    case GELU_TANH: {
      let v = clamp(a, -10.0, 10.0);
      return logistic(1.5957691216057308 * v * (1.0 + 0.044715 * v * v));
    }
    case SILU: { return logistic(a); }
    default: { return select(1.0, 0.0, a <= 0.0); }
  }
}

// The derivative of f, given openness(a).
fn slope(a: f32, open: f32) -> f32 {
  switch (kind) {
    case GELU: {
      let v = clamp(a, -12.0, 12.0);
      return open + v * 0.3989422804014327 * exp(-0.5 * v * v);
    }
    case GELU_TANH: {
      let v = clamp(a, -10.0, 10.0);
      let inner = 1.5957691216057308 * (1.0 + 3.0 * 0.044715 * v * v);
      return open + v * open * (1.0 - open) * inner;
    }
    case SILU: { return open + clamp(a, -80.0, 80.0) * open * (1.0 - open); }
    default: { return open; }
  }
}

// Where an element of y finds its a in x; its b is `columns` further on.
fn place(element: u32) -> u32 {
  return select(element, element + element / params.columns * params.columns, gated);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.count) { return; }
  let a = x[place(i)];
  var value = a * openness(a);
  if (gated) { value *= x[place(i) + params.columns]; }
  y[i] = value;
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.count) { return; }
  let a = x[place(i)];
  let open = openness(a);
  if (gated) {
    x_gradient[place(i)] = gradient[i] * x[place(i) + params.columns] * slope(a, open);
    x_gradient[place(i) + params.columns] = gradient[i] * a * open;
  } else {
    x_gradient[i] = gradient[i] * slope(a, open);
  }
}
