// Gradient of the label-smoothed cross-entropy (see label-smoothed-loss.wgsl) with respect to the logits.
//
//   logits         [rows, columns]
//   labels         [rows]
//   normalizers    [rows]   (largest logit, ln Σ exp(logit − largest))
//   loss_gradient  [1]
//   result         [rows, columns]
//
// result = loss_gradient · (softmax(logits) − (1 − smoothing)·onehot(label) − smoothing / columns), and 0 in
// rows whose label is `padding`.
//
// `by_row` is for rows of whole vec4s: a workgroup takes a stretch of one row, so that what the row has in
// common is looked up once an invocation. `by_element` is for all others: a vec4 may lie in several rows.

struct Params {
  rows: u32,
  columns: u32,
  padding: i32,
  smoothing: f32,
}

const GROUP = 64u;
// vec4s that an invocation of `by_row` writes at most.
const PER_INVOCATION = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> normalizers: array<vec2f>;
@group(0) @binding(4) var<storage, read> loss_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4f>;

// exp(logit − normalizer) is the softmax; but exp() of some drivers swallows NaN, so a normalizer that is not
// finite (its exponent's bits are all ones) is the result itself.
fn softmax_offset(normalizer: vec2f) -> f32 {
  let is_finite = (bitcast<u32>(normalizer.y) & 0x7f800000u) != 0x7f800000u;
  return select(normalizer.y, 0.0, is_finite);
}

@compute @workgroup_size(GROUP)
fn by_row(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let fours = params.columns / 4u;
  let stretches = (fours + GROUP * PER_INVOCATION - 1u) / (GROUP * PER_INVOCATION);
  let index = group.y * groups.x + group.x;
  let row = index / stretches;
  if (row >= params.rows) { return; }
  let begin = index % stretches * GROUP * PER_INVOCATION;
  let end = min(begin + GROUP * PER_INVOCATION, fours);
  let label = labels[row];
  let normalizer = normalizers[row];
  let uniform_share = params.smoothing / f32(params.columns) - softmax_offset(normalizer);
  let target_share = 1.0 - params.smoothing;
  for (var i = begin + lane; i < end; i += GROUP) {
    var gradient = vec4f();
    if (label != params.padding) {
      let hit = vec4u(u32(label)) == 4u * i + vec4u(0u, 1u, 2u, 3u);
      gradient = exp(logits[row * fours + i] - normalizer.x - normalizer.y) - uniform_share -
        select(vec4f(), vec4f(target_share), hit);
    }
    result[row * fours + i] = loss_gradient[0] * gradient;
  }
}

fn element(logit: f32, index: u32) -> f32 {
  let row = index / params.columns;
  let label = labels[row];
  if (label == params.padding) { return 0.0; }
  let normalizer = normalizers[row];
  let target_share = select(0.0, 1.0 - params.smoothing, u32(label) == index % params.columns);
  let uniform_share = params.smoothing / f32(params.columns) - softmax_offset(normalizer);
  return exp(logit - normalizer.x - normalizer.y) - uniform_share - target_share;
}

@compute @workgroup_size(GROUP)
fn by_element(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * GROUP) + id.x;
  if (4u * i >= params.rows * params.columns) { return; }
  let values = logits[i];
  let gradient = vec4f(
    element(values.x, 4u * i), element(values.y, 4u * i + 1u),
    element(values.z, 4u * i + 2u), element(values.w, 4u * i + 3u)
  );
  result[i] = loss_gradient[0] * gradient;
}
