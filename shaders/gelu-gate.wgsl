// Gated GELU (Shazeer 2020): gated = gelu(a) · b with the tanh GELU (Hendrycks & Gimpel 2016), and its
// gradients with respect to a and b.
//
//   a, b, gated, gradient, a_gradient, b_gradient  [count]
//
// ½ (1 + tanh u) is computed as the logistic function of 2u, whose tail keeps its digits, and of a clamped
// argument, since exp and tanh of large numbers overflow on some drivers: beyond ±10 the logistic is 0 or
// 1 in f32. The factor `a` outside stays unclamped, so that a NaN shows. One invocation per four floats, the
// last of which may lie past the end: bindings hold whole vec4s.

// 2 · sqrt(2 / π), and Hendrycks & Gimpel's cubic coefficient.
const SLOPE = 1.5957691216057308;
const CUBIC = 0.044715;

struct Params {
  // In floats.
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gated: array<vec4f>;
@group(0) @binding(4) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> a_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> b_gradient: array<vec4f>;

// gelu(a) / a.
fn openness(clamped: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-SLOPE * clamped * (1.0 + CUBIC * clamped * clamped)));
}

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (4 * index >= params.count) { return; }
  let value = a[index];
  gated[index] = value * openness(clamp(value, vec4f(-10.0), vec4f(10.0))) * b[index];
}

@compute @workgroup_size(64)
fn backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (4 * index >= params.count) { return; }
  let value = a[index];
  let clamped = clamp(value, vec4f(-10.0), vec4f(10.0));
  let open = openness(clamped);
  let slope = SLOPE * (1.0 + 3.0 * CUBIC * clamped * clamped);
  let adjoint = gradient[index];
  a_gradient[index] = adjoint * b[index] * (open + value * open * (1.0 - open) * slope);
  b_gradient[index] = adjoint * value * open;
}
