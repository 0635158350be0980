// Column sums: sums[z] = Σ values[z, r] over the rows r, z an instance or a slice of one long sum. Of one tensor,
// or of two with as many instances and rows.
//
//   values        [instances, rows, columns]
//   sums          [instances, slices, columns], slices = ceil(rows / slice_rows)
//   other_values  [instances, rows, other_columns]
//   other_sums    [instances, slices, other_columns]
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
  // 0 where there is no other tensor.
  other_columns: u32,
  slices: u32,
  slice_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<Element>;
@group(0) @binding(2) var<storage, read_write> sums: array<Element>;
@group(0) @binding(3) var<storage, read> other_values: array<Element>;
@group(0) @binding(4) var<storage, read_write> other_sums: array<Element>;

var<workgroup> partials: array<Element, LANES>;

fn groups_across(columns: u32) -> u32 { return (columns + COLUMNS - 1u) / COLUMNS; }

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let parts = params.instances * params.slices;
  let groups = parts * groups_across(params.columns);
  let number = group.y * workgroups.x + group.x;
  if (number >= groups + parts * groups_across(params.other_columns)) { return; }
  // The workgroups of the other tensor come after those of the first.
  let is_other = number >= groups;
  let columns = select(params.columns, params.other_columns, is_other);
  let own_number = number - select(0u, groups, is_other);
  let part = own_number / groups_across(columns);
  let column = own_number % groups_across(columns) * COLUMNS + local % COLUMNS;
  let instance = part / params.slices;
  let start = part % params.slices * params.slice_rows;
  let end = min(start + params.slice_rows, params.rows);
  // Columns beyond the last add the last once more, and nobody stores it.
  let first = instance * params.rows * columns + min(column, columns - 1u);
  var sum = Element();
  if (is_other) {
    for (var row = start + local / COLUMNS; row < end; row += ROW_LANES) {
      sum += other_values[first + row * columns];
    }
  } else {
    for (var row = start + local / COLUMNS; row < end; row += ROW_LANES) {
      sum += values[first + row * columns];
    }
  }
  partials[local] = sum;
  workgroupBarrier();
  if (local >= COLUMNS || column >= columns) { return; }
  var total = Element();
  for (var lane = local; lane < LANES; lane += COLUMNS) { total += partials[lane]; }
  if (is_other) { other_sums[part * columns + column] = total; }
  else { sums[part * columns + column] = total; }
}
