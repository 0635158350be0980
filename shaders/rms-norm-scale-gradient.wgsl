// Gradient of the root mean square norm with respect to its scale, summed over slices of rows:
// sums[slice] = Σ gradient[r] · x[r] · rstd[r]. The sums of the slices are added by sum-rows.
//
//   x, gradient  [rows, columns]
//   rstd         [rows]
//   sums         [slices, columns], slices = ceil(rows / slice_rows)
//
// One invocation owns one element of one slice and adds its rows in order.

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
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> gradient: array<Element>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<Element>;

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
    let element = row * params.columns + column;
    sum += gradient[element] * (x[element] * rstd[row]);
  }
  sums[index] = sum;
}
