// Keeps the numbers of one training step in a log on the device, to be read many steps later.
//
//   rows   [slots, 4]  loss, negative log-likelihood, target tokens, gradient norm; overwritten at one slot
//   slot   [1]         which row
//   keep   [1]         0: begin the row anew, 1: add to it (micro-batches of one update)
//   sums   [3]         added to the first three columns, where has_sums
//   norm   [1]         replaces the last column, where has_norm
//
// One invocation: four numbers are not worth more.

@group(0) @binding(0) var<storage, read_write> rows: array<f32>;
@group(0) @binding(1) var<storage, read> slot: array<u32>;
@group(0) @binding(2) var<storage, read> keep: array<f32>;
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read> norm: array<f32>;

override has_sums: bool = false;
override has_norm: bool = false;

@compute @workgroup_size(1)
fn main() {
  let row = 4u * min(slot[0], arrayLength(&rows) / 4u - 1u);
  if (has_sums) {
    for (var column = 0u; column < 3u; column++) {
      // A select, not a product: what the row held before may be anything.
      rows[row + column] = sums[column] + select(0.0, rows[row + column], keep[0] != 0.0);
    }
  }
  if (has_norm) { rows[row + 3u] = norm[0]; }
}
