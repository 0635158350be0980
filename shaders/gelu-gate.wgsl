// Gated GELU (Shazeer 2020) with dropout on its result: gated = gelu(a) · b · keep / (1 − rate), with the tanh
// GELU (Hendrycks & Gimpel 2016), and its gradients with respect to a and b.
//
//   x                [rows, 2 · columns], a row of which is one of a and one of b
//   x_gradient       as x
//   gated, gradient  [rows, columns]
//   seed             [2]      read only if has_dropout
//
// ½ (1 + tanh u) is computed as the logistic function of 2u, whose tail keeps its digits, and of a clamped
// argument, since exp and tanh of large numbers overflow on some drivers: beyond ±10 the logistic is 0 or
// 1 in f32. The factor `a` outside stays unclamped, so that a NaN shows. One invocation per four floats of the
// result, the last of which may lie past the end: bindings hold whole vec4s.
//
// Which elements are dropped is what dropout.wgsl says for the result.

// 2 · sqrt(2 / π), and Hendrycks & Gimpel's cubic coefficient.
const SLOPE = 1.5957691216057308;
const CUBIC = 0.044715;

struct Params {
  // Floats of the result, and of one of its rows.
  count: u32,
  columns: u32,
  dropout_rate: f32,
  dropout_site: u32,
  // 1 / (1 − rate).
  kept_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> x_vec4: array<vec4f>;
@group(0) @binding(3) var<storage, read> seed: array<u32>;
@group(0) @binding(4) var<storage, read_write> gated: array<vec4f>;
@group(0) @binding(5) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> x_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> x_gradient_vec4: array<vec4f>;

// Whether rows are whole vec4s: x is then read as such, and its gradient written so.
override vectors: bool = false;
override has_dropout: bool = false;

// Where an element of the result finds its a in x; its b is `columns` further on. Past the end of the result, the
// last element's.
fn place(element: u32) -> u32 {
  let i = min(element, params.count - 1u);
  return i + i / params.columns * params.columns;
}

// What four elements of the result have in x, so many columns from their a.
fn four_of_x(first: u32, columns: u32) -> vec4f {
  if (vectors) { return x_vec4[(place(first) + columns) / 4u]; }
  return vec4f(
    x[place(first) + columns], x[place(first + 1u) + columns],
    x[place(first + 2u) + columns], x[place(first + 3u) + columns]
  );
}

// gelu(a) / a.
fn openness(clamped: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-SLOPE * clamped * (1.0 + CUBIC * clamped * clamped)));
}

// What dropout multiplies four elements of the result by. The hash is pcg3d (Jarzynski & Olano 2020) of
// (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(first: u32) -> vec4f {
  var x = (first + vec4u(0, 1, 2, 3)) * 1664525u + 1013904223u;
  var y = vec4u((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = vec4u(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  return select(vec4f(), vec4f(params.kept_scale), uniform_numbers >= vec4f(params.dropout_rate));
}

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (4 * index >= params.count) { return; }
  let a = four_of_x(4 * index, 0u);
  let b = four_of_x(4 * index, params.columns);
  var value = a * openness(clamp(a, vec4f(-10.0), vec4f(10.0))) * b;
  if (has_dropout) { value *= kept(4 * index); }
  gated[index] = value;
}

@compute @workgroup_size(64)
fn backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (4 * index >= params.count) { return; }
  let a = four_of_x(4 * index, 0u);
  let b = four_of_x(4 * index, params.columns);
  let clamped = clamp(a, vec4f(-10.0), vec4f(10.0));
  let open = openness(clamped);
  let slope = SLOPE * (1.0 + 3.0 * CUBIC * clamped * clamped);
  var adjoint = gradient[index];
  if (has_dropout) { adjoint *= kept(4 * index); }
  let a_gradient = adjoint * b * (open + a * open * (1.0 - open) * slope);
  let b_gradient = adjoint * a * open;
  if (vectors) {
    x_gradient_vec4[place(4 * index) / 4] = a_gradient;
    x_gradient_vec4[(place(4 * index) + params.columns) / 4] = b_gradient;
  } else {
    for (var i = 0u; i < min(4u, params.count - 4 * index); i++) {
      x_gradient[place(4 * index + i)] = a_gradient[i];
      x_gradient[place(4 * index + i) + params.columns] = b_gradient[i];
    }
  }
}
