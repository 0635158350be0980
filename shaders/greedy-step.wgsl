// One step of greedy decoding: chooses each row's next token and writes it down.
//
//   logits    [rows, columns]
//   position  [1]                 of the token that `logits` follow
//   finished  [rows]              1 once a row has its end token
//   tokens    [rows, max_length]  the chosen token goes to position + 1
//   scores    [rows, max_length]  −ln softmax(logits)[chosen], there too; 0 where the token is padding
//
// The next token is the largest logit's, the lowest on ties; a NaN counts as larger than everything. While
// position + 1 tokens, the start token included, are fewer than min_length, the end token is left out of
// both the choice and the softmax. Finished rows are padded. At max_length nothing happens.
//
// A workgroup per row. As the chosen logit is the largest one, its score is ln Σ exp(logit − largest).
// Every reduction has a fixed order.

struct Params {
  rows: u32,
  columns: u32,
  max_length: u32,
  min_length: u32,
  end: u32,
  padding: u32,
}

const LANES = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> finished: array<i32>;
@group(0) @binding(4) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;

// The rank of a value and its column.
alias Candidate = vec2u;

var<workgroup> candidates: array<Candidate, LANES>;
var<workgroup> sums: array<f32, LANES>;

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
  let next = position[0] + 1u;
  let is_open = finished[row] == 0 && next < params.max_length;
  // Nothing is computed for a row that is done; its barriers are still passed, as WGSL wants it.
  let columns = select(0u, params.columns, is_open);
  let base = row * params.columns;
  let forbidden = select(0xffffffffu, params.end, next < params.min_length);

  var best = Candidate(0u, lane);
  for (var column = lane; column < columns; column += LANES) {
    let candidate = Candidate(rank(logits[base + column]), column);
    if (candidate.x > best.x && column != forbidden) { best = candidate; }
  }
  candidates[lane] = best;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { candidates[lane] = better(candidates[lane], candidates[lane + half]); }
  }
  workgroupBarrier();
  let chosen = candidates[0].y;
  let largest = logits[base + chosen];

  var sum = 0.0;
  for (var column = lane; column < columns; column += LANES) {
    if (column != forbidden) { sum += exp(logits[base + column] - largest); }
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }

  if (lane != 0u || next >= params.max_length) { return; }
  let token = select(params.padding, chosen, is_open);
  // exp() of some drivers swallows NaN; as a score it must show.
  let score = select(log(sums[0]), largest, candidates[0].x == 0xffffffffu);
  tokens[row * params.max_length + next] = i32(token);
  scores[row * params.max_length + next] = select(score, 0.0, token == params.padding);
  if (token == params.end) { finished[row] = 1; }
}
