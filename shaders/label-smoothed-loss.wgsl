// Label-smoothed cross-entropy, summed over the rows whose label is not `padding`.
//
//   logits         [rows, columns]
//   labels         [rows]
//   normalizers    [rows]   (largest logit, ln Σ exp(logit − largest))
//   row_losses     [rows]   (smoothed loss, plain negative log-likelihood); 0 where padded
//   loss, sums     [1] and [3]: smoothed loss; the same, plain loss, number of labels that count
//   logit_gradient [rows, columns]
//
// With lp = logit − largest − ln Σ exp(logit − largest), a row costs
// (1 − smoothing)·(−lp[label]) + smoothing·mean(−lp). Log-probabilities are never stored: the two numbers
// of `normalizers` make any of them again. They are kept apart because their sum would lose the digits
// that matter where logits are large.
//
// Invariant: every sum has an order fixed by the shape alone. One row is summed by LANES invocations:
// 1 on CPU adapters, where invocations run side by side anyway and barriers are dear, a workgroup on GPUs.
// All of a row's logits are compared to its first before they are added, so that a common offset costs
// no digits.

struct Params {
  rows: u32,
  columns: u32,
  padding: i32,
  smoothing: f32,
}

const LANES = 1u;
const GROUP = 64u;
const LOWEST = -3.4028234e38;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
// The same once more, read where rows are whole vec4s.
@group(0) @binding(2) var<storage, read> logits_vec4: array<vec4f>;
@group(0) @binding(3) var<storage, read> labels: array<i32>;
@group(0) @binding(4) var<storage, read_write> normalizers: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> row_losses: array<vec2f>;

override vectorized: bool = false;

// What a row's logits come to: their maximum, Σ exp(logit − maximum), Σ (logit − first).
struct Row {
  maximum: f32,
  exponentials: f32,
  differences: f32,
}

fn merge(a: Row, b: Row) -> Row {
  let maximum = max(a.maximum, b.maximum);
  let exponentials = a.exponentials * exp(a.maximum - maximum) +
    b.exponentials * exp(b.maximum - maximum);
  return Row(maximum, exponentials, a.differences + b.differences);
}

fn four(base: u32, column: u32) -> vec4f {
  if (vectorized) { return logits_vec4[(base + column) / 4u]; }
  let i = base + column;
  return vec4f(logits[i], logits[i + 1u], logits[i + 2u], logits[i + 3u]);
}

// Summarises the row's logits that fall to this lane: in blocks of 16, and what is left one by one.
fn summarise(base: u32, lane: u32) -> Row {
  let first = vec4f(logits[base]);
  var maximum = vec4f(LOWEST);
  var exponentials = vec4f();
  var differences = vec4f();
  let columns = params.columns;
  let chunks = columns / 16u;
  for (var chunk = lane; chunk < chunks; chunk += LANES) {
    let a = four(base, 16u * chunk);
    let b = four(base, 16u * chunk + 4u);
    let c = four(base, 16u * chunk + 8u);
    let d = four(base, 16u * chunk + 12u);
    let larger = max(max(max(a, b), max(c, d)), maximum);
    exponentials = exponentials * exp(maximum - larger) +
      (exp(a - larger) + exp(b - larger)) + (exp(c - larger) + exp(d - larger));
    maximum = larger;
    differences += ((a - first) + (b - first)) + ((c - first) + (d - first));
  }
  var row = merge(
    merge(
      Row(maximum.x, exponentials.x, differences.x),
      Row(maximum.y, exponentials.y, differences.y)
    ),
    merge(
      Row(maximum.z, exponentials.z, differences.z),
      Row(maximum.w, exponentials.w, differences.w)
    )
  );
  for (var column = 16u * chunks + lane; column < columns; column += LANES) {
    let logit = logits[base + column];
    row = merge(row, Row(logit, 1.0, logit - first.x));
  }
  return row;
}

// NaN or plus infinity. By its bits, because drivers may take it that there are none.
fn is_broken(x: f32) -> bool {
  let bits = bitcast<u32>(x);
  return (bits & 0x7fffffffu) > 0x7f800000u || bits == 0x7f800000u;
}

fn finish(index: u32, row: Row) {
  let base = index * params.columns;
  // exp() and max() of some drivers swallow NaN; the sum of differences does not.
  let logarithm = select(log(row.exponentials), row.differences, is_broken(row.differences));
  normalizers[index] = vec2f(row.maximum, logarithm);
  let label = labels[index];
  if (label == params.padding) {
    row_losses[index] = vec2f();
    return;
  }
  let likelihood = logarithm - (logits[base + u32(label)] - row.maximum);
  let mean = row.differences / f32(params.columns) + (logits[base] - row.maximum);
  let smoothed = (1.0 - params.smoothing) * likelihood + params.smoothing * (logarithm - mean);
  row_losses[index] = vec2f(smoothed, likelihood);
}

@compute @workgroup_size(64)
fn row_per_invocation(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = id.y * (groups.x * 64u) + id.x;
  if (index >= params.rows) { return; }
  finish(index, summarise(index * params.columns, 0u));
}

var<workgroup> lanes: array<Row, LANES>;

@compute @workgroup_size(LANES)
fn row_per_workgroup(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.rows) { return; }
  lanes[lane] = summarise(index * params.columns, lane);
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { lanes[lane] = merge(lanes[lane], lanes[lane + half]); }
  }
  if (lane == 0u) { finish(index, lanes[0]); }
}

@group(0) @binding(1) var<storage, read> summed_losses: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

var<workgroup> partial_sums: array<vec3f, GROUP>;

// One workgroup adds all rows: each invocation every 64th, then the first one what they have found.
@compute @workgroup_size(GROUP)
fn total(@builtin(local_invocation_index) lane: u32) {
  var sum = vec3f();
  for (var row = lane; row < params.rows; row += GROUP) {
    sum += vec3f(summed_losses[row], select(1.0, 0.0, labels[row] == params.padding));
  }
  partial_sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  for (var other = 1u; other < GROUP; other++) { sum += partial_sums[other]; }
  loss[0] = sum.x;
  sums[0] = sum.x;
  sums[1] = sum.y;
  sums[2] = sum.z;
}
