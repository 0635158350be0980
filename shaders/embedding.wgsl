// Rows of a table, by number.
//
//   table     [vocabulary, columns]
//   ids       [tokens], taken as the nearest row where there is no such row
//   embedded  [tokens, columns]
//
// One invocation per element of the result.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  vocabulary: u32,
  // tokens · columns, in elements.
  count: u32,
  // Elements per row.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<Element>;
@group(0) @binding(2) var<storage, read> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> embedded: array<Element>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  if (index >= params.count) { return; }
  let row = u32(clamp(ids[index / params.columns], 0, i32(params.vocabulary) - 1));
  embedded[index] = table[row * params.columns + index % params.columns];
}
