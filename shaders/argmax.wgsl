// Where each row is largest, the lowest index on ties; a NaN counts as larger than everything.
//
//   values  [rows, columns]
//   result  [rows]
//
// A workgroup per row: each lane walks every LANES-th column upwards, then the lanes' finds are compared
// pairwise. Floats are compared by their rank as integers, so that no driver's idea of NaN has a say.

struct Params {
  rows: u32,
  columns: u32,
}

const LANES = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<i32>;

// The rank of a value and its column.
alias Candidate = vec2u;

var<workgroup> candidates: array<Candidate, LANES>;

// A number that grows with x: equal for both zeros, largest for every NaN.
fn rank(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0xffffffffu; }
  return select(0x80000000u + magnitude, 0x80000000u - magnitude, bits != magnitude);
}

fn better(a: Candidate, b: Candidate) -> Candidate {
  if (b.x > a.x || (b.x == a.x && b.y < a.y)) { return b; }
  return a;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  var best = Candidate(0u, lane);
  for (var column = lane; column < params.columns; column += LANES) {
    let candidate = Candidate(rank(values[row * params.columns + column]), column);
    if (candidate.x > best.x) { best = candidate; }
  }
  candidates[lane] = best;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { candidates[lane] = better(candidates[lane], candidates[lane + half]); }
  }
  if (lane == 0u) { result[row] = i32(candidates[0].y); }
}
