// The best continuations of every beam, best first.
//
//   logits      [rows, columns], a row for each beam
//   position    [1]                     of the token that `logits` follow
//   banned      [rows, ⌈columns / 32⌉]  a bit for each token         read only if has_banned
//   scores      [rows, columns]         in the place of ln softmax   read only if has_scores
//   candidates  [rows, CANDIDATES, 3]   token, bits of its score and of ln softmax(logits)[token]
//
// The score of a token is ln softmax(logits), or what `scores` has; if is_renormalised, after the log-softmax of
// those that are allowed. Ordered by it, the lower token first on ties; a NaN counts as larger than everything.
// Banned tokens score -∞, and so do end tokens while position + 1 tokens, the start token included, are fewer than
// min_length; the others' scores stay as they are. A row with fewer tokens than CANDIDATES is filled up with NO_TOKEN.
//
// A workgroup per row: each lane keeps the best of its own columns in order, then the lanes' lists are merged. A
// list is short: once all of it is taken, its lane goes over its columns again for those that come next. Every
// reduction has a fixed order. A lane's list is only indexed by loops of constant bounds, so that compilers can keep
// it in registers; where a loop found the place and moved the rest, llvmpipe's GL driver lost some.

struct Params {
  rows: u32,
  columns: u32,
  min_length: u32,
}

const LANES = 64u;
// Replaced when the shader is specialised: several times the beams, so that enough are left without end tokens; and
// how many of them a lane lists at a time.
const CANDIDATES = 8u;
const LISTED = 8u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> banned: array<u32>;
@group(0) @binding(4) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(5) var<storage, read> scores: array<f32>;

override has_banned: bool = false;
override has_scores: bool = false;
override is_renormalised: bool = false;

const NO_TOKEN = 0xffffffffu;
const NAN_RANK = 0xffffffffu;
// Of -∞ as a rank, and as a float.
const LOWEST_RANK = 0x00800000u;
const LOWEST_BITS = 0xff800000u;
const NAN_BITS = 0x7fc00000u;

// The rank of a score and its column.
alias Candidate = vec2u;
// Best first.
alias List = array<Candidate, LISTED>;

var<workgroup> heads: array<Candidate, LANES>;
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
  if (b.x > a.x || (b.x == a.x && b.y < a.y)) { return b; }
  return a;
}

// Whether a token ends a sequence. Replaced when the shader is specialised.
fn is_end(token: u32) -> bool { return token == 1u; }

// What tokens are ordered by.
fn score(at: u32) -> f32 {
  if (has_scores) { return scores[at]; }
  return logits[at];
}

fn is_allowed(row: u32, column: u32, is_early: bool) -> bool {
  if (is_early && is_end(column)) { return false; }
  if (!has_banned) { return true; }
  let words = (params.columns + 31u) / 32u;
  return ((banned[row * words + column / 32u] >> (column % 32u)) & 1u) == 0u;
}

// What a pass over a lane's columns finds beside its list.
struct Found {
  // Of all logits, and of scores that are allowed.
  largest: vec2u,
  // The rank of the list's last, 0 unless it is full.
  least: u32,
}

// Lists the best of a lane's columns that do not come before `next`.
fn fill(list: ptr<function, List>, lane: u32, row: u32, is_early: bool, next: Candidate) -> Found {
  var largest = vec2u();
  for (var i = 0u; i < LISTED; i++) { (*list)[i] = Candidate(0u, NO_TOKEN); }
  var least = 0u;
  for (var column = lane; column < params.columns; column += LANES) {
    var x = rank(logits[row * params.columns + column]);
    largest.x = max(largest.x, x);
    if (has_scores) { x = rank(scores[row * params.columns + column]); }
    if (x <= least && !is_renormalised) { continue; }
    if (!is_allowed(row, column, is_early)) { x = LOWEST_RANK; }
    largest.y = max(largest.y, x);
    if (x <= least || x > next.x || (x == next.x && column < next.y)) { continue; }
    var held = Candidate(x, column);
    for (var i = 0u; i < LISTED; i++) {
      let other = (*list)[i];
      let goes_first = held.x > other.x;
      (*list)[i] = select(other, held, goes_first);
      held = select(held, other, goes_first);
    }
    least = (*list)[LISTED - 1u].x;
  }
  return Found(largest, least);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let base = row * params.columns;
  let is_early = position[0] + 1u < params.min_length;

  var list: List;
  var next = Candidate(NAN_RANK, 0u);
  var found = fill(&list, lane, row, is_early, next);
  heads[lane] = found.largest;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { heads[lane] = max(heads[lane], heads[lane + half]); }
  }
  workgroupBarrier();
  let largest = value(heads[0].x);
  let largest_score = value(heads[0].y);
  let is_nan = heads[0].x == NAN_RANK;

  var sum = vec2f();
  for (var column = lane; column < params.columns; column += LANES) {
    sum.x += exp(logits[base + column] - largest);
    if (is_renormalised && is_allowed(row, column, is_early)) { sum.y += exp(score(base + column) - largest_score); }
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  let log_sums = log(sums[0]);

  for (var i = 0u; i < CANDIDATES; i++) {
    if (LISTED < CANDIDATES && found.least > 0u && list[0].y == NO_TOKEN) {
      found = fill(&list, lane, row, is_early, next);
    }
    heads[lane] = list[0];
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { heads[lane] = better(heads[lane], heads[lane + half]); }
    }
    workgroupBarrier();
    let winner = heads[0];
    if (winner.x > 0u && winner.y == list[0].y) {
      next = Candidate(winner.x, winner.y + 1u);
      for (var j = 1u; j < LISTED; j++) { list[j - 1u] = list[j]; }
      list[LISTED - 1u] = Candidate(0u, NO_TOKEN);
    }
    if (lane == 0u) {
      let log_probability = logits[base + min(winner.y, params.columns - 1u)] - largest - log_sums.x;
      var bits = vec2u(bitcast<u32>(value(winner.x)), bitcast<u32>(log_probability));
      if (!has_scores) { bits.x = bitcast<u32>(value(winner.x) - largest - log_sums.x); }
      if (is_renormalised) { bits.x = bitcast<u32>(value(winner.x) - largest_score - log_sums.y); }
      if (winner.x <= LOWEST_RANK) { bits.x = LOWEST_BITS; }
      // exp() of some drivers swallows NaN; here it must show.
      if (is_nan) { bits.y = NAN_BITS; }
      if (winner.x == NAN_RANK || (is_nan && !has_scores)) { bits.x = NAN_BITS; }
      let at = 3u * (row * CANDIDATES + i);
      candidates[at] = winner.y;
      candidates[at + 1u] = bits.x;
      candidates[at + 2u] = bits.y;
    }
    workgroupBarrier();
  }
}
