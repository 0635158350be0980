// One step of greedy decoding: chooses each sequence's next token and writes it down.
//
//   logits             [rows, columns], a row for each sequence: rows = batch · slots
//   position           [1]                              of the token that `logits` follow
//   banned             [rows, ⌈columns / 32⌉]           a bit for each token        read only if has_banned
//   scores             [rows, columns]                  what is chosen by           read only if has_scores
//   finished           [rows]                           1 once a sequence has its end token
//   tokens             [batch, max_length, slots]       the chosen token goes to position + 1
//   log_probabilities  [batch, max_length, slots] of 2  of it, there too: among all tokens, and among those allowed
//
// The next token is the largest score's (the largest logit's, where there are no scores), the lowest on ties; a
// NaN counts as larger than everything. Banned tokens are not allowed, nor are end tokens while position + 1
// tokens, the start token included, are fewer than min_length. Finished sequences are padded. At max_length nothing happens.
//
// A workgroup per row. Every reduction has a fixed order.

struct Params {
  rows: u32,
  columns: u32,
  slots: u32,
  max_length: u32,
  min_length: u32,
  padding: u32,
}

const LANES = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> banned: array<u32>;
@group(0) @binding(4) var<storage, read_write> finished: array<i32>;
@group(0) @binding(5) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(6) var<storage, read_write> log_probabilities: array<vec2f>;
@group(0) @binding(7) var<storage, read> scores: array<f32>;

override has_banned: bool = false;
override has_scores: bool = false;

const NAN_RANK = 0xffffffffu;

// The rank of a value, its column, and the largest rank of all, allowed or not.
alias Candidate = vec3u;

var<workgroup> candidates: array<Candidate, LANES>;
var<workgroup> sums: array<vec2f, LANES>;

// A number that grows with x: equal for both zeros, largest for every NaN.
fn rank(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return NAN_RANK; }
  return select(0x80000000u + magnitude, 0x80000000u - magnitude, bits != magnitude);
}

fn value(rank: u32) -> f32 {
  return bitcast<f32>(select(0x80000000u | (0x80000000u - rank), rank - 0x80000000u, rank >= 0x80000000u));
}

fn better(a: Candidate, b: Candidate) -> Candidate {
  let overall = max(a.z, b.z);
  if (b.x > a.x || (b.x == a.x && b.y < a.y)) { return Candidate(b.xy, overall); }
  return Candidate(a.xy, overall);
}

// Whether a token ends a sequence. Replaced when the shader is specialised.
fn is_end(token: u32) -> bool { return token == 1u; }

fn is_allowed(row: u32, column: u32, is_early: bool) -> bool {
  if (is_early && is_end(column)) { return false; }
  if (!has_banned) { return true; }
  let words = (params.columns + 31u) / 32u;
  return ((banned[row * words + column / 32u] >> (column % 32u)) & 1u) == 0u;
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
  // Nothing is computed for a sequence that is done; its barriers are still passed, as WGSL wants it.
  let columns = select(0u, params.columns, is_open);
  let base = row * params.columns;
  let is_early = next < params.min_length;

  var best = Candidate(0u, lane, 0u);
  for (var column = lane; column < columns; column += LANES) {
    var x = rank(logits[base + column]);
    best.z = max(best.z, x);
    if (has_scores) { x = rank(scores[base + column]); }
    if (x > best.x && is_allowed(row, column, is_early)) {
      best.x = x;
      best.y = column;
    }
  }
  candidates[lane] = best;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { candidates[lane] = better(candidates[lane], candidates[lane + half]); }
  }
  workgroupBarrier();
  let chosen = candidates[0].y;
  let largest = value(candidates[0].x);
  let overall = value(candidates[0].z);

  // Probability over that of the largest logit: of tokens that are allowed, and of the others, each as seen
  // from the largest of its kind, so that neither is lost where the other outweighs it. With scores: of those
  // allowed as they are scored, and of all as the logits have it.
  var sum = vec2f();
  for (var column = lane; column < columns; column += LANES) {
    let allowed = is_allowed(row, column, is_early);
    if (has_scores) {
      sum += vec2f(select(0.0, exp(scores[base + column] - largest), allowed), exp(logits[base + column] - overall));
    } else {
      let share = exp(logits[base + column] - select(overall, largest, allowed));
      sum += select(vec2f(0.0, share), vec2f(share, 0.0), allowed);
    }
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }

  if (lane != 0u || next >= params.max_length) { return; }
  let gap = largest - overall;
  var choice = vec2f(gap - log(sums[0].x * exp(gap) + sums[0].y), -log(sums[0].x));
  if (has_scores) { choice.x = logits[base + chosen] - overall - log(sums[0].y); }
  // exp() of some drivers swallows NaN; in the result it must show.
  if (candidates[0].z == NAN_RANK) { choice = vec2f(overall); }
  let at = (row / params.slots * params.max_length + next) * params.slots + row % params.slots;
  tokens[at] = i32(select(params.padding, chosen, is_open));
  log_probabilities[at] = select(vec2f(), choice, is_open);
  if (is_open && is_end(chosen)) { finished[row] = 1; }
}
