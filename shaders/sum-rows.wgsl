// Column sums: sums[slice] = Σ rows[r] over the rows r of a slice.
//
//   values  [rows, columns]
//   sums    [slices, columns], slices = ceil(rows / slice_rows)
//
// One invocation owns one element of one slice and adds its rows in order; a long sum is made by running
// this again on the sums, so the order of the additions, and with it every bit, depends on the shape
// alone. Neighbouring invocations read neighbouring elements of a row.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  rows: u32,
  // Elements per row.
  columns: u32,
  slices: u32,
  slice_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<Element>;
@group(0) @binding(2) var<storage, read_write> sums: array<Element>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let slice = index / params.columns;
  if (slice >= params.slices) { return; }
  let start = slice * params.slice_rows;
  let end = min(start + params.slice_rows, params.rows);
  let column = index % params.columns;
  var sum = Element();
  for (var row = start; row < end; row++) {
    sum += values[row * params.columns + column];
  }
  sums[index] = sum;
}
