// One vector added to every row.
//
//   x, result  [rows, columns]
//   bias       [columns]
//
// One invocation per element of the result.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  // rows · columns, in elements.
  count: u32,
  // Elements per row.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> bias: array<Element>;
@group(0) @binding(3) var<storage, read_write> result: array<Element>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (index >= params.count) { return; }
  result[index] = x[index] + bias[index % params.columns];
}
