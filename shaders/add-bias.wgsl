// One vector added to every row.
//
//   x, result  [rows, columns]
//   bias       [columns]
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
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> bias: array<Element>;
@group(0) @binding(3) var<storage, read_write> result: array<Element>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let first = index / params.columns * 4;
  let column = index % params.columns;
  let own_bias = bias[column];
  for (var row = first; row < min(first + 4, params.rows); row++) {
    let element = row * params.columns + column;
    result[element] = x[element] + own_bias;
  }
}
