// Gradient accumulation, in place: sum = keep · sum + addend, four elements per invocation.
//
//   sum     [count], overwritten
//   addend  [count]
//   keep    [1]
//
// keep = 0 starts a new sum: what was there is not read, so that neither NaN nor infinity is carried over.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(2) var<storage, read> addend: array<vec4f>;
@group(0) @binding(3) var<storage, read> keep: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (4u * i >= params.count) { return; }
  var total = addend[i];
  if (keep[0] != 0.0) { total += keep[0] * sum[i]; }
  sum[i] = total;
}
