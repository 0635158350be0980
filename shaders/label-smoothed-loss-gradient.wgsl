// Gradient of the label-smoothed cross-entropy (see label-smoothed-loss.wgsl) with respect to the logits.
//
//   logits         [rows, columns]
//   labels         [rows]
//   normalizers    [rows]   (largest logit, ln Σ exp(logit − largest))
//   loss_gradient  [1]
//   result         [rows, columns]
//
// result = loss_gradient · (softmax(logits) − (1 − smoothing)·onehot(label) − smoothing / columns), and 0 in
// rows whose label is `padding`. Four consecutive elements per invocation; where rows are not whole fours
// the next element may be the next row's, so the row is looked up for each.

struct Params {
  count: u32,
  columns: u32,
  padding: i32,
  smoothing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> normalizers: array<vec2f>;
@group(0) @binding(4) var<storage, read> loss_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4f>;

override rows_are_whole_fours: bool = false;

fn element(logit: f32, row: u32, column: u32) -> f32 {
  let label = labels[row];
  if (label == params.padding) { return 0.0; }
  let normalizer = normalizers[row];
  let target_share = select(0.0, 1.0 - params.smoothing, u32(label) == column);
  let uniform_share = params.smoothing / f32(params.columns);
  return exp(logit - normalizer.x - normalizer.y) - target_share - uniform_share;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let start = 4u * index;
  if (start >= params.count) { return; }
  let values = logits[index];
  let row = start / params.columns;
  let column = start % params.columns;
  var gradient = vec4f();
  if (rows_are_whole_fours) {
    let label = labels[row];
    if (label != params.padding) {
      let normalizer = normalizers[row];
      let hit = vec4u(u32(label)) == vec4u(column, column + 1u, column + 2u, column + 3u);
      gradient = exp(values - normalizer.x - normalizer.y) -
        select(vec4f(), vec4f(1.0 - params.smoothing), hit) -
        params.smoothing / f32(params.columns);
    }
  } else {
    for (var i = 0u; i < 4u; i++) {
      let at = start + i;
      gradient[i] = element(values[i], at / params.columns, at % params.columns);
    }
  }
  result[index] = loss_gradient[0] * gradient;
}
