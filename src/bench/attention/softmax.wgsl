// The softmax of rows, and its gradient, as ops of their own: what fused attention is compared with.
//
//   scores, weights, gradient, score_gradient  [rows, columns]
//   penalties                                  [rows / rows_per_mask, columns], added to the scores
//
// weights = softmax(scores + penalties); score_gradient = weights · (gradient − Σ weights · gradient).
//
// A row belongs to `lanes` invocations of a workgroup: one on CPU adapters, up to 64 on GPUs.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  rows: u32,
  // Elements per row.
  columns: u32,
  rows_per_mask: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<Element>;
@group(0) @binding(2) var<storage, read> penalties: array<Element>;
@group(0) @binding(3) var<storage, read_write> weights: array<Element>;
@group(0) @binding(4) var<storage, read> forward_weights: array<Element>;
@group(0) @binding(5) var<storage, read> gradient: array<Element>;
@group(0) @binding(6) var<storage, read_write> score_gradient: array<Element>;

// Invocations per row: a power of two, at most 64.
override lanes: u32 = 1;

const LOWEST = -3.4028234e38;

var<workgroup> shared_values: array<f32, 64>;

// The sum over a row, from each of its lanes' sum. All invocations of the workgroup must come here.
fn row_sum(sum: Element, local: u32) -> f32 {
  // A scalar is spread over the four summands, a vector fills them.
  let own = dot(vec4f(sum), vec4f(0.25 * f32(WIDTH)));
  if (lanes == 1) { return own; }
  workgroupBarrier();
  shared_values[local] = own;
  for (var distance = lanes / 2; distance > 0; distance /= 2) {
    workgroupBarrier();
    if (local % lanes < distance) { shared_values[local] += shared_values[local + distance]; }
  }
  workgroupBarrier();
  return shared_values[local - local % lanes];
}

// The maximum, likewise.
fn row_maximum(value: Element, local: u32) -> f32 {
  let four = vec4f(value);
  let own = max(max(four.x, four.y), max(four.z, four.w));
  if (lanes == 1) { return own; }
  shared_values[local] = own;
  for (var distance = lanes / 2; distance > 0; distance /= 2) {
    workgroupBarrier();
    if (local % lanes < distance) {
      shared_values[local] = max(shared_values[local], shared_values[local + distance]);
    }
  }
  workgroupBarrier();
  return shared_values[local - local % lanes];
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * workgroups.x + group.x) * (64 / lanes) + local / lanes;
  let lane = local % lanes;
  // Lanes past the last row do its work again, up to the barriers, and then store nothing.
  let own_row = min(row, params.rows - 1);
  let start = own_row * params.columns;
  let mask = own_row / params.rows_per_mask * params.columns;
  var highest = Element(LOWEST);
  for (var column = lane; column < params.columns; column += lanes) {
    highest = max(highest, scores[start + column] + penalties[mask + column]);
  }
  let maximum = row_maximum(highest, local);
  var total = Element();
  for (var column = lane; column < params.columns; column += lanes) {
    total += exp(scores[start + column] + penalties[mask + column] - maximum);
  }
  let normaliser = 1.0 / row_sum(total, local);
  if (row >= params.rows) { return; }
  for (var column = lane; column < params.columns; column += lanes) {
    weights[start + column] =
      exp(scores[start + column] + penalties[mask + column] - maximum) * normaliser;
  }
}

@compute @workgroup_size(64)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * workgroups.x + group.x) * (64 / lanes) + local / lanes;
  let lane = local % lanes;
  let start = min(row, params.rows - 1) * params.columns;
  var products = Element();
  for (var column = lane; column < params.columns; column += lanes) {
    products += forward_weights[start + column] * gradient[start + column];
  }
  let mean = row_sum(products, local);
  if (row >= params.rows) { return; }
  for (var column = lane; column < params.columns; column += lanes) {
    let i = start + column;
    score_gradient[i] = forward_weights[i] * (gradient[i] - mean);
  }
}
