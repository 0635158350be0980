// One step of beam search for each row of a batch: closes hypotheses, fills the beams anew, and tells whether
// the row is done.
//
//   candidates  [batch, BEAMS, CANDIDATES, 3]  of each beam, best first: token (NO_TOKEN: none), bits of its score
//                                              and of its log-probability
//   position    [1]                            of the beams' newest tokens
//   divisors    [max_length + 1]               length ^ length penalty
//   tokens      [batch, max_length, BEAMS]     newest tokens go to position + 1
//   parents     [batch, max_length, BEAMS]     the beam that each token was appended to, there too
//   sums        [batch, max_length, BEAMS, 2]  scores and log-probabilities summed up to each token, there too
//   ancestors   [batch, BEAMS, max_length]     the slot that holds each position of a beam's sequence
//   hypotheses  [batch, 2 + 5 · BEAMS]         whether the row is done (0 or 1), number of hypotheses, and of each,
//                                              oldest first: both sums, length, the beam that held the token before
//                                              its last, and its last token
//
// Candidates of a row are visited best first by sum + score (a NaN counts as largest), on ties that of the lower
// beam. An end token closes a hypothesis if it is among the first BEAMS candidates; other tokens fill the beams until
// there are BEAMS. A hypothesis's sums include its last token, its length does not; it is compared by sum /
// divisors[length]. The best BEAMS are kept: of the worst the oldest goes.
//
// A row that has BEAMS hypotheses is done at once if early_stopping, else by one of two rules. The reference's: the
// worst of them is at least as good as the best candidate would be if it ended here. Today's: the best beam would not
// be better than the worst of them if it ended here (or had best_length tokens, if that is not 0); the last token that
// there is room for closes a hypothesis whatever it is, then the row is done; and what has no finite score closes none.
// At max_length nothing happens.
//
// A workgroup per row. One lane decides, all of them rearrange the ancestors.

struct Params {
  batch: u32,
  max_length: u32,
  padding: u32,
  // 0 or 1.
  early_stopping: u32,
  is_reference: u32,
  best_length: u32,
}

const LANES = 64u;
// Replaced when the shader is specialised.
const BEAMS = 4u;
const CANDIDATES = 8u;
// Ancestors that are moved at once, no fewer than BEAMS.
const TILE = 1024u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> candidates: array<u32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> divisors: array<f32>;
@group(0) @binding(4) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(5) var<storage, read_write> parents: array<i32>;
@group(0) @binding(6) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> ancestors: array<u32>;
@group(0) @binding(8) var<storage, read_write> hypotheses: array<f32>;

const NO_TOKEN = 0xffffffffu;

// A score that no hypothesis has: that of beams to begin with that should not be gone on from.
const NEVER = -1e9;

// Of each beam: where its new one comes from, how many of its candidates were visited, and the rank that the next of
// them has, 0 for none.
var<workgroup> origins: array<u32, BEAMS>;
var<workgroup> visited: array<u32, BEAMS>;
var<workgroup> heads: array<u32, BEAMS>;
var<workgroup> tile: array<u32, TILE>;

// Whether a token ends a sequence. Replaced when the shader is specialised.
fn is_end(token: u32) -> bool { return token == 1u; }

// A number that grows with x: equal for both zeros, largest for every NaN.
fn rank(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0xffffffffu; }
  return select(0x80000000u + magnitude, 0x80000000u - magnitude, bits != magnitude);
}

// Where hypothesis `i` of a row lies.
fn hypothesis(row: u32, i: u32) -> u32 {
  return row * (2u + 5u * BEAMS) + 2u + 5u * i;
}

fn score(row: u32, i: u32) -> f32 {
  let at = hypothesis(row, i);
  return hypotheses[at] / divisors[u32(hypotheses[at + 2u])];
}

// The worst of `count` hypotheses, the oldest on ties.
fn worst(row: u32, count: u32) -> u32 {
  var found = 0u;
  for (var i = 1u; i < count; i++) {
    if (score(row, i) < score(row, found)) { found = i; }
  }
  return found;
}

// Adds a hypothesis to `count` others if it is good enough, and returns how many there are then.
fn add_hypothesis(row: u32, count: u32, sum: vec2f, length: u32, beam: u32, token: u32) -> u32 {
  var place = count;
  if (params.is_reference == 0u && rank(sum.x / divisors[length]) <= rank(NEVER)) { return count; }
  if (count == BEAMS) {
    place = worst(row, count);
    if (!(sum.x / divisors[length] > score(row, place))) { return count; }
    for (; place + 1u < BEAMS; place++) {
      for (var i = 0u; i < 5u; i++) {
        hypotheses[hypothesis(row, place) + i] = hypotheses[hypothesis(row, place + 1u) + i];
      }
    }
  }
  let at = hypothesis(row, place);
  hypotheses[at] = sum.x;
  hypotheses[at + 1u] = sum.y;
  hypotheses[at + 2u] = f32(length);
  hypotheses[at + 3u] = f32(beam);
  hypotheses[at + 4u] = f32(token);
  return min(count + 1u, BEAMS);
}

// Where the next candidate of a beam lies.
fn candidate(row: u32, beam: u32) -> u32 {
  return 3u * ((row * BEAMS + beam) * CANDIDATES + visited[beam]);
}

// Finds the rank of a beam's next candidate.
fn look(row: u32, beam: u32, newest: u32) {
  heads[beam] = 0u;
  if (visited[beam] == CANDIDATES) { return; }
  let at = candidate(row, beam);
  if (candidates[at] == NO_TOKEN) { return; }
  heads[beam] = rank(sums[newest - BEAMS + beam].x + bitcast<f32>(candidates[at + 1u]));
}

// Everything but the ancestors. The beams of a row that is done are padded.
fn decide(row: u32, next: u32) {
  let newest = (row * params.max_length + next) * BEAMS;
  let state = hypothesis(row, 0u) - 2u;
  if (hypotheses[state] != 0.0) {
    for (var beam = 0u; beam < BEAMS; beam++) {
      origins[beam] = beam;
      tokens[newest + beam] = i32(params.padding);
      parents[newest + beam] = i32(beam);
      sums[newest + beam] = sums[newest - BEAMS + beam];
    }
    return;
  }

  let is_last = params.is_reference == 0u && next + 1u == params.max_length;
  var count = u32(hypotheses[state + 1u]);
  var filled = 0u;
  var best = 0.0;
  var best_beam = NEVER;
  for (var i = 0u; i < CANDIDATES && filled < BEAMS; i++) {
    var origin = 0u;
    for (var beam = 1u; beam < BEAMS; beam++) {
      if (heads[beam] > heads[origin]) { origin = beam; }
    }
    if (heads[origin] == 0u) { break; }
    let at = candidate(row, origin);
    let token = candidates[at];
    let added = vec2f(bitcast<f32>(candidates[at + 1u]), bitcast<f32>(candidates[at + 2u]));
    let sum = sums[newest - BEAMS + origin] + added;
    visited[origin]++;
    look(row, origin, newest);
    if (i == 0u) { best = sum.x; }
    let ends = is_end(token);
    if ((ends || is_last) && i < BEAMS) { count = add_hypothesis(row, count, sum, next, origin, token); }
    if (!ends) {
      if (filled == 0u) { best_beam = sum.x; }
      origins[filled] = origin;
      tokens[newest + filled] = i32(token);
      parents[newest + filled] = i32(origin);
      sums[newest + filled] = sum;
      filled++;
    }
  }

  hypotheses[state + 1u] = f32(count);
  if (is_last) { hypotheses[state] = 1.0; }
  if (count == BEAMS) {
    let least = score(row, worst(row, count));
    var is_certain = least >= best / divisors[next];
    if (params.is_reference == 0u) {
      is_certain = !(best_beam / divisors[select(next, params.best_length, params.best_length != 0u)] > least);
    }
    if (params.early_stopping != 0u || is_certain) { hypotheses[state] = 1.0; }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  let next = position[0] + 1u;
  if (row >= params.batch || next >= params.max_length) { return; }
  for (var beam = lane; beam < BEAMS; beam += LANES) {
    visited[beam] = 0u;
    // Where there are fewer candidates than beams, the rest goes on as it is.
    origins[beam] = beam;
    look(row, beam, (row * params.max_length + next) * BEAMS);
  }
  workgroupBarrier();
  if (lane == 0u) { decide(row, next); }
  workgroupBarrier();
  for (var first = 0u; first <= next; first += TILE / BEAMS) {
    let count = min(TILE / BEAMS, next + 1u - first) * BEAMS;
    for (var i = lane; i < count; i += LANES) {
      tile[i] = ancestors[(row * BEAMS + i % BEAMS) * params.max_length + first + i / BEAMS];
    }
    workgroupBarrier();
    for (var i = lane; i < count; i += LANES) {
      let beam = i % BEAMS;
      let place = first + i / BEAMS;
      let slot = select(tile[i - beam + origins[beam]], beam, place == next);
      ancestors[(row * BEAMS + beam) * params.max_length + place] = slot;
    }
    workgroupBarrier();
  }
}
