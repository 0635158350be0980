// One step of beam search for each row of a batch: closes hypotheses, fills the beams anew, and tells whether
// the row is done.
//
//   candidates  [batch, BEAMS, CANDIDATES]     of each beam, best first: token (NO_TOKEN: none), bits of its
//                                              log-probability
//   position    [1]                            of the beams' newest tokens
//   divisors    [max_length + 1]               length ^ length penalty
//   tokens      [batch, max_length, BEAMS]     newest tokens go to position + 1
//   parents     [batch, max_length, BEAMS]     the beam that each token was appended to, there too
//   sums        [batch, max_length, BEAMS]     log-probabilities summed up to each token, there too
//   ancestors   [batch, BEAMS, max_length]     the slot that holds each position of a beam's sequence
//   hypotheses  [batch, 2 + 3 · BEAMS]         whether the row is done (0 or 1), number of hypotheses, and of each,
//                                              oldest first: sum, length, the beam that held its last token
//
// Candidates of a row are visited best first by sum + log-probability (a NaN counts as largest), on ties that of
// the lower beam. An end token closes a hypothesis if it is among the first BEAMS candidates; other tokens fill
// the beams until there are BEAMS. A hypothesis's sum includes the end token, its length does not; its score is
// sum / divisors[length]. The best BEAMS are kept: of the worst the oldest goes. A row is done when it
// has BEAMS hypotheses and, unless early_stopping, the worst of them is at least as good as the best
// candidate would be if it ended here. At max_length nothing happens.
//
// A workgroup per row. One lane decides, all of them rearrange the ancestors.

struct Params {
  batch: u32,
  max_length: u32,
  end: u32,
  padding: u32,
  // 0 or 1.
  early_stopping: u32,
}

const LANES = 64u;
// Replaced when the shader is specialised.
const BEAMS = 4u;
const CANDIDATES = 2u * BEAMS;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> candidates: array<vec2u>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> divisors: array<f32>;
@group(0) @binding(4) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(5) var<storage, read_write> parents: array<i32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> ancestors: array<u32>;
@group(0) @binding(8) var<storage, read_write> hypotheses: array<f32>;

const NO_TOKEN = 0xffffffffu;

var<workgroup> origins: array<u32, BEAMS>;

// A number that grows with x: equal for both zeros, largest for every NaN.
fn rank(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0xffffffffu; }
  return select(0x80000000u + magnitude, 0x80000000u - magnitude, bits != magnitude);
}

// Where hypothesis `i` of a row lies.
fn hypothesis(row: u32, i: u32) -> u32 {
  return row * (2u + 3u * BEAMS) + 2u + 3u * i;
}

fn score(row: u32, i: u32) -> f32 {
  let at = hypothesis(row, i);
  return hypotheses[at] / divisors[u32(hypotheses[at + 1u])];
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
fn add_hypothesis(row: u32, count: u32, sum: f32, length: u32, beam: u32) -> u32 {
  var place = count;
  if (count == BEAMS) {
    place = worst(row, count);
    if (!(sum / divisors[length] > score(row, place))) { return count; }
    for (; place + 1u < BEAMS; place++) {
      for (var i = 0u; i < 3u; i++) {
        hypotheses[hypothesis(row, place) + i] = hypotheses[hypothesis(row, place + 1u) + i];
      }
    }
  }
  let at = hypothesis(row, place);
  hypotheses[at] = sum;
  hypotheses[at + 1u] = f32(length);
  hypotheses[at + 2u] = f32(beam);
  return min(count + 1u, BEAMS);
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

  var count = u32(hypotheses[state + 1u]);
  var visited: array<u32, BEAMS>;
  var filled = 0u;
  var best = 0.0;
  for (var i = 0u; i < CANDIDATES && filled < BEAMS; i++) {
    var origin = BEAMS;
    var sum = 0.0;
    for (var beam = 0u; beam < BEAMS; beam++) {
      if (visited[beam] == CANDIDATES) { continue; }
      let head = candidates[(row * BEAMS + beam) * CANDIDATES + visited[beam]];
      if (head.x == NO_TOKEN) { continue; }
      let total = sums[newest - BEAMS + beam] + bitcast<f32>(head.y);
      if (origin == BEAMS || rank(total) > rank(sum)) {
        origin = beam;
        sum = total;
      }
    }
    if (origin == BEAMS) { break; }
    let token = candidates[(row * BEAMS + origin) * CANDIDATES + visited[origin]].x;
    visited[origin]++;
    if (i == 0u) { best = sum; }
    if (token != params.end) {
      origins[filled] = origin;
      tokens[newest + filled] = i32(token);
      parents[newest + filled] = i32(origin);
      sums[newest + filled] = sum;
      filled++;
    } else if (i < BEAMS) {
      count = add_hypothesis(row, count, sum, next, origin);
    }
  }

  hypotheses[state + 1u] = f32(count);
  if (count == BEAMS) {
    let is_certain = score(row, worst(row, count)) >= best / divisors[next];
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
  if (lane == 0u) { decide(row, next); }
  workgroupBarrier();
  for (var place = lane; place <= next; place += LANES) {
    var before: array<u32, BEAMS>;
    for (var beam = 0u; beam < BEAMS; beam++) {
      before[beam] = ancestors[(row * BEAMS + beam) * params.max_length + place];
    }
    for (var beam = 0u; beam < BEAMS; beam++) {
      let slot = select(before[origins[beam]], beam, place == next);
      ancestors[(row * BEAMS + beam) * params.max_length + place] = slot;
    }
  }
}
