// One step of sampling: draws each sequence's next token and writes it down.
//
//   logits             [rows, columns], a row for each sequence: rows = batch · slots
//   position           [1]                              of the token that `logits` follow
//   random             [2 + batch]                      two words of a seed, then a number for each row of the batch
//   banned             [rows, ⌈columns / 32⌉]           a bit for each token        read only if has_banned
//   scores             [rows, columns]                  in the logits' place        read only if has_scores
//   finished           [rows]                           1 once a sequence has its end token
//   tokens             [batch, max_length, slots]       the drawn token goes to position + 1
//   log_probabilities  [batch, max_length, slots] of 2  of it, there too: softmax(logits), and as it was drawn
//
// Of the tokens that are neither banned nor an end token too early (see greedy-step.wgsl), those remain whose
// logit is among the top_k largest (all of equal logit, 0: all), and of these, with probabilities of
// softmax(logit / temperature), the fewest whose sum is top_p (the largest first, the lower token on ties; at
// least one). One of them is drawn by its probability. Finished sequences are padded. A NaN is always drawn, so
// that it shows. At max_length nothing happens.
//
// What is drawn depends on nothing but the logits, the seed, the row's number, the slot and the position
// (Salmon et al. 2011 on counter-based generators), whatever batch the row is in.
//
// A workgroup per row. Nothing is sorted: a threshold on integers that grow with the logits is found three
// bits at a time, by a pass that sums up what lies above each of eight thresholds. As soon as few tokens are above
// the one for top_k, every invocation makes a list of its own ones, and later passes go over the lists. Every
// reduction has a fixed order.

struct Params {
  rows: u32,
  columns: u32,
  slots: u32,
  max_length: u32,
  min_length: u32,
  padding: u32,
  top_k: u32,
  top_p: f32,
  temperature: f32,
}

const LANES = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> random: array<u32>;
@group(0) @binding(4) var<storage, read> banned: array<u32>;
@group(0) @binding(5) var<storage, read_write> finished: array<i32>;
@group(0) @binding(6) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(7) var<storage, read_write> log_probabilities: array<vec2f>;
@group(0) @binding(8) var<storage, read> scores: array<f32>;

override has_banned: bool = false;
override has_scores: bool = false;

const NAN_RANK = 0xffffffffu;

// What a search weighs tokens by.
const EACH = 0u;        // every token 1, ordered by logit
const PROBABILITY = 1u; // its share, ordered by logit
const TIES = 2u;        // 1 if its rank is the lowest that is kept, ordered from high columns to low

// The rank of a value, its column, and the largest rank of all, allowed or not.
alias Candidate = vec3u;

// Eight numbers.
struct Eight {
  low: vec4f,
  high: vec4f,
}

// The tokens that are kept: ranks from `lowest` on, of `lowest` itself columns up to `last_column`.
struct Kept {
  lowest: u32,
  last_column: u32,
}

// Tokens that a list has room for, should all of them be one invocation's.
const ROOM = 64u;

// Columns of an invocation's tokens that may still be kept, from low to high; at ROOM how many, or NO_LIST.
alias List = array<u32, 65>;

const NO_LIST = 0xffffffffu;

var<workgroup> candidates: array<Candidate, LANES>;
var<workgroup> partial: array<Eight, LANES>;
var<workgroup> chosen: u32;

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

// What a token is drawn by.
fn score(at: u32) -> f32 {
  if (has_scores) { return scores[at]; }
  return logits[at];
}

fn is_allowed(row: u32, column: u32) -> bool {
  if (is_end(column) && position[0] + 1u < params.min_length) { return false; }
  if (!has_banned) { return true; }
  let words = (params.columns + 31u) / 32u;
  return ((banned[row * words + column / 32u] >> (column % 32u)) & 1u) == 0u;
}

// The share of a token: its probability over that of the likeliest one.
fn share(x: f32, largest: f32) -> f32 {
  return exp((x - largest) / params.temperature);
}

fn is_kept(kept: Kept, rank: u32, column: u32) -> bool {
  return rank > kept.lowest || (rank == kept.lowest && column <= kept.last_column);
}

// Three well-mixed words from three (Jarzynski & Olano 2020, pcg3d).
fn pcg3d(words: vec3u) -> vec3u {
  var v = words * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  return v;
}

// How many of `columns` columns this invocation goes over.
fn own_columns(list: ptr<function, List>, lane: u32, columns: u32) -> u32 {
  let length = (*list)[ROOM];
  if (length != NO_LIST) { return select(length, 0u, columns == 0u); }
  return (columns + LANES - 1u - lane) / LANES;
}

// The `i`-th of them.
fn own_column(list: ptr<function, List>, lane: u32, i: u32) -> u32 {
  if ((*list)[ROOM] != NO_LIST) { return (*list)[i]; }
  return lane + i * LANES;
}

// Lists the tokens of rank `lowest` and above, of which there are no more than ROOM.
fn make_list(list: ptr<function, List>, lane: u32, row: u32, columns: u32, lowest: u32) {
  var length = 0u;
  for (var column = lane; column < columns; column += LANES) {
    if (rank(score(row * params.columns + column)) < lowest || !is_allowed(row, column)) { continue; }
    (*list)[length] = column;
    length += 1u;
  }
  (*list)[ROOM] = length;
}

// Uniform in [0, 1).
fn random_number(batch: u32, slot: u32) -> f32 {
  let stream = pcg3d(vec3u(random[0], random[1], random[2u + batch]));
  return f32(pcg3d(stream + vec3u(slot, position[0], 0u)).x >> 8u) * (1.0 / 16777216.0);
}

// The sums over all lanes.
fn totals(lane: u32, low: vec4f, high: vec4f) -> Eight {
  workgroupBarrier();
  partial[lane] = Eight(low, high);
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      partial[lane].low += partial[lane + half].low;
      partial[lane].high += partial[lane + half].high;
    }
  }
  workgroupBarrier();
  return partial[0];
}

// The sums of two numbers over all lanes.
fn total(lane: u32, x: vec2f) -> vec2f {
  return totals(lane, vec4f(x, 0.0, 0.0), vec4f()).low.xy;
}

// How many are true.
fn count(which: vec4<bool>) -> u32 {
  return dot(select(vec4u(), vec4u(1), which), vec4u(1));
}

// The highest threshold such that what lies at or above it weighs at least `goal`; 0 if nothing weighs as much.
// Of `kept`, ranks below the lowest weigh nothing.
fn search(
  list: ptr<function, List>, lane: u32, row: u32, columns: u32, weighing: u32, goal: f32, kept: Kept, largest: f32,
) -> u32 {
  var prefix = 0u;
  // The last two steps share a bit: 32 is no multiple of 3.
  for (var shift = 32u; shift > 0u;) {
    shift = max(shift, 3u) - 3u;
    let low_thresholds = vec4u(prefix) + (vec4u(0, 1, 2, 3) << vec4u(shift));
    let high_thresholds = vec4u(prefix) + (vec4u(4, 5, 6, 7) << vec4u(shift));
    var low = vec4f();
    var high = vec4f();
    let own_count = own_columns(list, lane, columns);
    for (var i = 0u; i < own_count; i++) {
      let column = own_column(list, lane, i);
      let x = score(row * params.columns + column);
      let r = rank(x);
      if (r < kept.lowest || !is_allowed(row, column)) { continue; }
      var key = r;
      var weight = 1.0;
      if (weighing == PROBABILITY) { weight = share(x, largest); }
      if (weighing == TIES) {
        key = params.columns - 1u - column;
        weight = select(0.0, 1.0, r == kept.lowest);
      }
      low += select(vec4f(), vec4f(weight), vec4u(key) >= low_thresholds);
      high += select(vec4f(), vec4f(weight), vec4u(key) >= high_thresholds);
    }
    // The weight above a threshold falls as it rises: those that are met come first.
    let above = totals(lane, low, high);
    let met = count(above.low >= vec4f(goal)) + count(above.high >= vec4f(goal));
    let last_met = max(met, 1u) - 1u;
    prefix += last_met << shift;
    let tokens = select(above.low[last_met % 4u], above.high[last_met % 4u], last_met > 3u);
    let needs_list = weighing == EACH && (*list)[ROOM] == NO_LIST;
    if (needs_list && tokens <= f32(ROOM)) { make_list(list, lane, row, columns, prefix); }
  }
  return prefix;
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

  var best = Candidate(0u, lane, 0u);
  for (var column = lane; column < columns; column += LANES) {
    var x = rank(logits[base + column]);
    best.z = max(best.z, x);
    if (has_scores) { x = rank(scores[base + column]); }
    if (x > best.x && is_allowed(row, column)) {
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
  let largest = value(candidates[0].x);
  let overall = value(candidates[0].z);
  if (lane == 0u) { chosen = candidates[0].y; }

  var mass = 0.0;
  for (var column = lane; column < columns; column += LANES) { mass += exp(logits[base + column] - overall); }
  let all_mass = total(lane, vec2f(mass)).x;

  var kept = Kept(0u, 0xffffffffu);
  var list: List;
  list[ROOM] = NO_LIST;
  if (params.top_k > 0u) {
    kept.lowest = search(&list, lane, row, columns, EACH, f32(params.top_k), kept, largest);
  }
  let own_count = own_columns(&list, lane, columns);
  if (params.top_p < 1.0) {
    var remaining = 0.0;
    for (var i = 0u; i < own_count; i++) {
      let column = own_column(&list, lane, i);
      let x = score(base + column);
      if (rank(x) >= kept.lowest && is_allowed(row, column)) { remaining += share(x, largest); }
    }
    let goal = params.top_p * total(lane, vec2f(remaining)).x;
    kept.lowest = max(kept.lowest, search(&list, lane, row, columns, PROBABILITY, goal, kept, largest));

    // Not all tokens of the lowest rank may be needed.
    var above = vec2f();
    for (var i = 0u; i < own_count; i++) {
      let column = own_column(&list, lane, i);
      let x = score(base + column);
      let r = rank(x);
      if (r < kept.lowest || !is_allowed(row, column)) { continue; }
      if (r > kept.lowest) { above.x += share(x, largest); } else { above.y += 1.0; }
    }
    let mass_and_ties = total(lane, above);
    let ties = max(1.0, ceil((goal - mass_and_ties.x) / share(value(kept.lowest), largest)));
    // Where all are needed, as nearly always, there is nothing to search.
    let tied = select(0u, columns, ties < mass_and_ties.y);
    let place = search(&list, lane, row, tied, TIES, ties, kept, largest);
    if (tied > 0u) { kept.last_column = params.columns - 1u - place; }
  }

  // The drawn number falls into the share of one lane, and there into that of one token.
  var own = 0.0;
  for (var i = 0u; i < own_count; i++) {
    let column = own_column(&list, lane, i);
    let x = score(base + column);
    if (is_allowed(row, column) && is_kept(kept, rank(x), column)) { own += share(x, largest); }
  }
  workgroupBarrier();
  partial[lane].low.x = own;
  workgroupBarrier();
  var kept_mass = 0.0;
  var start = 0.0;
  for (var other = 0u; other < LANES; other++) {
    if (other == lane) { start = kept_mass; }
    kept_mass += partial[other].low.x;
  }
  let drawn = random_number(row / params.slots, row % params.slots) * kept_mass;
  if (drawn >= start && drawn < start + own && candidates[0].x != NAN_RANK) {
    var passed = 0.0;
    var token = 0u;
    for (var i = 0u; i < own_count; i++) {
      let column = own_column(&list, lane, i);
      let x = score(base + column);
      if (!is_allowed(row, column) || !is_kept(kept, rank(x), column)) { continue; }
      let width = share(x, largest);
      if (width == 0.0) { continue; }
      token = column;
      passed += width;
      if (passed > drawn - start) { break; }
    }
    chosen = token;
  }
  workgroupBarrier();

  if (lane != 0u || next >= params.max_length) { return; }
  var choice = vec2f(
    logits[base + chosen] - overall - log(all_mass),
    (score(base + chosen) - largest) / params.temperature - log(kept_mass)
  );
  // exp() of some drivers swallows NaN; in the result it must show.
  if (candidates[0].z == NAN_RANK) { choice = vec2f(overall); }
  let at = (row / params.slots * params.max_length + next) * params.slots + row % params.slots;
  tokens[at] = i32(select(params.padding, chosen, is_open));
  log_probabilities[at] = select(vec2f(), choice, is_open);
  if (is_open && is_end(chosen)) { finished[row] = 1; }
}
