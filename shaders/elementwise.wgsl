// Elementwise kernels over tensors of `params.count` f32 elements, four per invocation.
//
//   add:            result = a + b
//   relu:           result = max(a, 0)
//   relu_gradient:  result = b where a > 0, else 0      (a: the output of relu, b: its adjoint)
//   scale:          result = params.factor * a
//   fill:           result = params.factor
//   copy:           result = a
//
// Invariant: bindings hold whole vec4s (the runtime rounds them up), so the last invocation may write up
// to three elements past the end, which no tensor owns. They are written as zeros, so that the gaps of a
// slab of gradients stay zero.

struct Params {
  count: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;

fn index(id: vec3u, groups: vec3u) -> u32 {
  return id.y * (groups.x * 64u) + id.x;
}

// Writes four elements, or as many as there are.
fn store(i: u32, value: vec4f) {
  let first = 4u * i;
  if (first + 4u <= params.count) {
    result[i] = value;
  } else if (first < params.count) {
    result[i] = select(vec4f(0.0), value, vec4u(first) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count));
  }
}

@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  store(i, a[i] + b[i]);
}

// max(x, 0), but a NaN shows: by its bits, because drivers may compile `x < 0` to a max() that hides it.
fn rectified(x: vec4f) -> vec4f {
  return select(x, vec4f(), bitcast<vec4u>(x) - 0x80000000u <= vec4u(0x7f800000u));
}

@compute @workgroup_size(64)
fn relu(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  store(i, rectified(a[i]));
}

@compute @workgroup_size(64)
fn relu_gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  store(i, select(b[i], vec4f(0.0), a[i] <= vec4f(0.0)));
}

@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  store(i, params.factor * a[i]);
}

@compute @workgroup_size(64)
fn fill(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  store(index(id, groups), vec4f(params.factor));
}
