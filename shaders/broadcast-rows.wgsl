// One vector in every row.
//
//   vector  [columns]
//   result  [rows, columns]
//
// One invocation per element of four rows: integer division is slow, and one serves all four.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  rows: u32,
  // Elements per row.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vector: array<Element>;
@group(0) @binding(2) var<storage, read_write> result: array<Element>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let first = index / params.columns * 4;
  let column = index % params.columns;
  let value = vector[column];
  for (var row = first; row < min(first + 4, params.rows); row++) {
    result[row * params.columns + column] = value;
  }
}
