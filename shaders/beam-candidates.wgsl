// The best continuations of every beam, best first.
//
//   logits      [rows, columns], a row for each beam
//   position    [1]                     of the token that `logits` follow
//   banned      [rows, ⌈columns / 32⌉]  a bit for each token         read only if has_banned
//   candidates  [rows, CANDIDATES]      token, bits of ln softmax(logits)[token]
//
// Ordered by logit, the lower token first on ties; a NaN counts as larger than everything. Banned tokens
// have the probability 0, and so has the end token while position + 1 tokens, the start token included, are
// fewer than min_length; the others' stay as they are. A row with fewer tokens than CANDIDATES is filled
// up with NO_TOKEN.
//
// A workgroup per row: each lane keeps the best of its own columns in order, then the lanes' lists are
// merged. Every reduction has a fixed order. A lane's list is only indexed by loops of constant bounds, so that
// compilers can keep it in registers; where a loop found the place and moved the rest, llvmpipe's GL driver lost some.

struct Params {
  rows: u32,
  columns: u32,
  min_length: u32,
  end: u32,
}

const LANES = 64u;
// Replaced when the shader is specialised: twice the beams, so that enough are left without end tokens.
const CANDIDATES = 8u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> banned: array<u32>;
@group(0) @binding(4) var<storage, read_write> candidates: array<vec2u>;

override has_banned: bool = false;

const NO_TOKEN = 0xffffffffu;
const NAN_RANK = 0xffffffffu;
// Of -∞ as a rank, and as a float.
const LOWEST_RANK = 0x00800000u;
const LOWEST_BITS = 0xff800000u;

// The rank of a logit and its column.
alias Candidate = vec2u;

var<workgroup> heads: array<Candidate, LANES>;
var<workgroup> ranks: array<u32, LANES>;
var<workgroup> sums: array<f32, LANES>;

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

fn is_allowed(row: u32, column: u32, forbidden: u32) -> bool {
  if (column == forbidden) { return false; }
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
  let base = row * params.columns;
  let forbidden = select(0xffffffffu, params.end, position[0] + 1u < params.min_length);

  var best: array<Candidate, CANDIDATES>;
  for (var i = 0u; i < CANDIDATES; i++) { best[i] = Candidate(0u, NO_TOKEN); }
  var least = 0u;
  var largest_rank = 0u;
  for (var column = lane; column < params.columns; column += LANES) {
    var x = rank(logits[base + column]);
    largest_rank = max(largest_rank, x);
    if (x <= least) { continue; }
    if (!is_allowed(row, column, forbidden)) { x = LOWEST_RANK; }
    if (x <= least) { continue; }
    var held = Candidate(x, column);
    for (var i = 0u; i < CANDIDATES; i++) {
      let other = best[i];
      let goes_first = held.x > other.x;
      best[i] = select(other, held, goes_first);
      held = select(held, other, goes_first);
    }
    least = best[CANDIDATES - 1u].x;
  }

  ranks[lane] = largest_rank;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { ranks[lane] = max(ranks[lane], ranks[lane + half]); }
  }
  workgroupBarrier();
  let largest = value(ranks[0]);
  let is_nan = ranks[0] == NAN_RANK;

  var sum = 0.0;
  for (var column = lane; column < params.columns; column += LANES) {
    sum += exp(logits[base + column] - largest);
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }

  for (var i = 0u; i < CANDIDATES; i++) {
    heads[lane] = best[0];
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { heads[lane] = better(heads[lane], heads[lane + half]); }
    }
    workgroupBarrier();
    let winner = heads[0];
    if (winner.x > 0u && winner.y == best[0].y) {
      for (var j = 1u; j < CANDIDATES; j++) { best[j - 1u] = best[j]; }
      best[CANDIDATES - 1u] = Candidate(0u, NO_TOKEN);
    }
    if (lane == 0u) {
      var bits = bitcast<u32>(value(winner.x) - largest - log(sums[0]));
      if (winner.x <= LOWEST_RANK) { bits = LOWEST_BITS; }
      // exp() of some drivers swallows NaN; here it must show.
      if (is_nan) { bits = 0x7fc00000u; }
      candidates[row * CANDIDATES + i] = Candidate(winner.y, bits);
    }
    workgroupBarrier();
  }
}
