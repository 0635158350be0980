// Dropout (Srivastava et al. 2014), with or without a residual:
// result = x · keep / (1 - rate) (+ residual).
//
//   x, residual, result  [count]
//   seed                 [2]
//
// Nothing is stored for the backward pass: whether an element is kept is a function of its index, the
// call site and the seed (Salmon et al. 2011 on counter-based generators), so the same dispatch on the
// adjoint drops the same elements. Dropped elements are multiplied by zero, not skipped: a NaN shows. One
// invocation per four floats, the last of which may lie past the end: bindings hold whole vec4s.

struct Params {
  // In floats.
  count: u32,
  dropout_site: u32,
  dropout_rate: f32,
  // 1 / (1 - rate).
  kept_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seed: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4f>;

override has_residual: bool = false;

// Three well-mixed words from three (Jarzynski & Olano 2020, pcg3d).
fn pcg3d(words: vec3u) -> vec3u {
  var v = words * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  return v;
}

// What element number `element` is multiplied by.
fn factor(element: u32) -> f32 {
  let word = pcg3d(vec3u(element, params.dropout_site ^ seed[0], seed[1])).x;
  let uniform_number = f32(word >> 8u) * (1.0 / 16777216.0);
  return select(0.0, params.kept_scale, uniform_number >= params.dropout_rate);
}

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let first = 4 * index;
  if (first >= params.count) { return; }
  let factors = vec4f(factor(first), factor(first + 1), factor(first + 2), factor(first + 3));
  var value = x[index] * factors;
  if (has_residual) { value += residual[index]; }
  result[index] = value;
}
