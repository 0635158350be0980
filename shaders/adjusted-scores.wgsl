// What a decoding goes by where it is not the logits themselves: logits, or their log-softmax, after penalties.
//
//   logits       [rows, columns], a row for each sequence
//   position     [1]                              of the token that `logits` follow
//   seen         [rows, ⌈columns / 32⌉]           a bit for each token of the sequence      read only if has_seen
//   source_seen  [rows / slots, ⌈columns / 32⌉]   a bit for each token of a row's source    read only if has_source
//   growth       [max_length]                     of end tokens, by position                read only if has_growth
//   scores       [rows, columns]                  bits of floats
//
// In this order: tokens of the source are divided by source_penalty, tokens of the sequence by penalty (negative
// numbers are multiplied instead); a NaN becomes 0 and an infinity the largest number of its sign, if is_finite; of
// end tokens, growth times the absolute value is added. Where a token is forced, after the tokens at
// position 0 (forced_first) or max_length - 2 (forced_last), every score is 0.
//
// A workgroup per row. Every reduction has a fixed order. A NaN stays one, by its bits: arithmetic of some drivers
// swallows it.

struct Params {
  rows: u32,
  columns: u32,
  slots: u32,
  max_length: u32,
  // 0 or 1.
  forced_first: u32,
  forced_last: u32,
  penalty: f32,
  source_penalty: f32,
}

const LANES = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> seen: array<u32>;
@group(0) @binding(4) var<storage, read> source_seen: array<u32>;
@group(0) @binding(5) var<storage, read> growth: array<f32>;
@group(0) @binding(6) var<storage, read_write> scores: array<u32>;

override has_seen: bool = false;
override has_source: bool = false;
override has_growth: bool = false;
// Scores are the logits' log-softmax.
override is_logarithm: bool = false;
override is_finite: bool = false;

const NAN_RANK = 0xffffffffu;
const NAN_BITS = 0x7fc00000u;

var<workgroup> ranks: array<u32, LANES>;
var<workgroup> sums: array<f32, LANES>;

// Whether a token ends a sequence. Replaced when the shader is specialised.
fn is_end(token: u32) -> bool { return token == 1u; }

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

fn penalised(x: f32, penalty: f32) -> f32 {
  if (x < 0.0) { return x * penalty; }
  return x / penalty;
}

// The bits of a token's score.
fn adjusted(row: u32, column: u32, start: f32, is_nan: bool) -> u32 {
  var x = start;
  let magnitude = bitcast<u32>(x) & 0x7fffffffu;
  let words = (params.columns + 31u) / 32u;
  if (is_nan || magnitude > 0x7f800000u) {
    if (!is_finite) { return NAN_BITS; }
    x = 0.0;
  } else if (magnitude == 0x7f800000u) {
    // An infinity divided stays what it is.
    if (!is_finite) { return bitcast<u32>(x); }
    x = bitcast<f32>(bitcast<u32>(x) - 1u);
  } else {
    if (has_source && ((source_seen[row / params.slots * words + column / 32u] >> (column % 32u)) & 1u) != 0u) {
      x = penalised(x, params.source_penalty);
    }
    if (has_seen && ((seen[row * words + column / 32u] >> (column % 32u)) & 1u) != 0u) {
      x = penalised(x, params.penalty);
    }
  }
  if (has_growth && is_end(column)) { x += abs(x) * growth[min(position[0], params.max_length - 1u)]; }
  return bitcast<u32>(x);
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

  var largest = 0.0;
  var log_sum = 0.0;
  var is_nan = false;
  if (is_logarithm) {
    var largest_rank = 0u;
    for (var column = lane; column < params.columns; column += LANES) {
      largest_rank = max(largest_rank, rank(logits[base + column]));
    }
    ranks[lane] = largest_rank;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { ranks[lane] = max(ranks[lane], ranks[lane + half]); }
    }
    workgroupBarrier();
    largest = value(ranks[0]);
    is_nan = ranks[0] == NAN_RANK;

    var sum = 0.0;
    for (var column = lane; column < params.columns; column += LANES) { sum += exp(logits[base + column] - largest); }
    sums[lane] = sum;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { sums[lane] += sums[lane + half]; }
    }
    workgroupBarrier();
    log_sum = log(sums[0]);
  }

  let is_forced = (params.forced_first != 0u && position[0] == 0u) ||
    (params.forced_last != 0u && position[0] + 2u == params.max_length);
  for (var column = lane; column < params.columns; column += LANES) {
    var bits = 0u;
    if (!is_forced) { bits = adjusted(row, column, logits[base + column] - largest - log_sum, is_nan); }
    scores[base + column] = bits;
  }
}
