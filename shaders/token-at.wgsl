// The token of every row at the current position: what a decoding step embeds.
//
//   tokens    [rows, columns]
//   position  [1]
//   result    [rows]
//
// A position past the end reads the last column.

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.rows) { return; }
  result[id.x] = tokens[id.x * params.columns + min(position[0], params.columns - 1u)];
}
