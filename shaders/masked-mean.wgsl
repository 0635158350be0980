// Mean over the positions that a mask counts: mean[b] = Σ x[b, t] · mask[b, t] / Σ mask[b, t], and its
// gradient with respect to x.
//
//   x, input_gradient  [batch, length, columns]
//   mask               [batch, length]
//   mean, gradient     [batch, columns]
//
// Forward, one invocation per element of the mean adds the positions in order; backward, one per element
// of four positions: integer division is slow, and one serves all four. A row whose mask is empty has mean
// zero. Masked positions are multiplied by zero, not skipped: a NaN shows.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  batch: u32,
  length: u32,
  // Elements per position.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<i32>;
@group(0) @binding(2) var<storage, read> x: array<Element>;
@group(0) @binding(3) var<storage, read_write> mean: array<Element>;
@group(0) @binding(4) var<storage, read_write> counts: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<Element>;
@group(0) @binding(6) var<storage, read> forward_counts: array<f32>;
@group(0) @binding(7) var<storage, read_write> input_gradient: array<Element>;

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let row = index / params.columns;
  if (row >= params.batch) { return; }
  let column = index % params.columns;
  var sum = Element();
  var count = 0.0;
  for (var position = row * params.length; position < (row + 1) * params.length; position++) {
    let weight = f32(mask[position]);
    sum += x[position * params.columns + column] * weight;
    count += weight;
  }
  count = max(count, 1.0);
  mean[index] = sum / count;
  if (column == 0) { counts[row] = count; }
}

@compute @workgroup_size(64)
fn backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let first = index / params.columns * 4;
  let column = index % params.columns;
  let end = min(first + 4, params.batch * params.length);
  for (var position = first; position < end; position++) {
    let row = position / params.length;
    let weight = f32(mask[position]) / forward_counts[row];
    input_gradient[position * params.columns + column] =
      gradient[row * params.columns + column] * weight;
  }
}
