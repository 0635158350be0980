// Rows of a table, by number.
//
//   table     [rows, columns], floats or halves: all rows of the vocabulary, or those from `first` on
//   ids       [tokens], taken as the nearest row where the vocabulary has no such row
//   embedded  [tokens, columns], zeros where the row is not in this table
//
// One invocation per element of four tokens: integer division is slow, and one serves all four.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  first: u32,
  rows: u32,
  vocabulary: u32,
  tokens: u32,
  // Elements per row.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<Element>;
@group(0) @binding(2) var<storage, read> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> embedded: array<Element>;

// The one read of the table: where it is stored in halves, the host writes another.
fn table_at(i: u32) -> Element { return table[i]; }

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let first = index / params.columns * 4;
  let column = index % params.columns;
  for (var token = first; token < min(first + 4, params.tokens); token++) {
    // What is before the first row wraps around, and so is beyond the last.
    let row = u32(clamp(ids[token], 0, i32(params.vocabulary) - 1)) - params.first;
    var value = Element(0.0);
    if (row < params.rows) { value = table_at(row * params.columns + column); }
    embedded[token * params.columns + column] = value;
  }
}
