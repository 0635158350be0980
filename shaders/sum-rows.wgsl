// Column sums: sums[z] = Σ values[z, r] over the rows r, z an instance or a slice of one long sum.
//
//   values  [instances, rows, columns]
//   sums    [instances, slices, columns], slices = ceil(rows / slice_rows)
//
// A workgroup owns COLUMNS elements of a slice. Its invocations add every ROW_LANES-th row, neighbours reading
// neighbouring elements, and the first of each column adds their sums in order. A sum too long for that is
// made by running this again on the sums of its slices. So the order of the additions, and with it every
// bit, depends on the shape and the kind of adapter alone.

alias Element = f32;
const WIDTH = 1u;

const LANES = 64u;
const COLUMNS = 2u;
const ROW_LANES = LANES / COLUMNS;

struct Params {
  instances: u32,
  // Of an instance.
  rows: u32,
  // Elements per row.
  columns: u32,
  slices: u32,
  slice_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<Element>;
@group(0) @binding(2) var<storage, read_write> sums: array<Element>;

var<workgroup> partials: array<Element, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let groups_across = (params.columns + COLUMNS - 1u) / COLUMNS;
  let number = group.y * workgroups.x + group.x;
  let part = number / groups_across;
  if (part >= params.instances * params.slices) { return; }
  let column = number % groups_across * COLUMNS + local % COLUMNS;
  let instance = part / params.slices;
  let start = part % params.slices * params.slice_rows;
  let end = min(start + params.slice_rows, params.rows);
  // Columns beyond the last add the last once more, and nobody stores it.
  let first = instance * params.rows * params.columns + min(column, params.columns - 1u);
  var sum = Element();
  for (var row = start + local / COLUMNS; row < end; row += ROW_LANES) {
    sum += values[first + row * params.columns];
  }
  partials[local] = sum;
  workgroupBarrier();
  if (local >= COLUMNS || column >= params.columns) { return; }
  var total = Element();
  for (var lane = local; lane < LANES; lane += COLUMNS) { total += partials[lane]; }
  sums[part * params.columns + column] = total;
}
