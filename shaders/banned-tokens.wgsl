// The tokens that must not come next in each sequence, as bits: those that are banned wherever they stand, that
// would repeat an n-gram of the sequence itself or of its row's source, or that would complete a banned sequence.
//
//   tokens     [batch, length, slots]
//   position   [1], of the newest token
//   ancestors  [batch, slots, length], a slot for each position        read only if has_ancestors
//   planes     [4, words], bits: banned after the tokens at position 0, 1, all others, length - 2
//   source     [batch, source_length], -1 where there is no token
//   sequences  [count, width]: how many tokens a banned sequence has, then these, the last of them banned
//   banned     [batch, slots, words], a bit for each token
//
// `clear`, an invocation per word, comes first: it sets the bits of a plane, if there are planes. Then one of the
// others for every rule: `ban`, an invocation per sequence and place where an n-gram may begin; `ban_source`, the
// same for places of the source; `ban_sequences`, one per sequence and banned sequence. Several of them may set
// bits of one word, in whatever order.

struct Params {
  batch: u32,
  slots: u32,
  length: u32,
  // Words of 32 tokens.
  words: u32,
  // Tokens of an n-gram.
  size: u32,
  source_length: u32,
  // Banned sequences, and the width of their table.
  count: u32,
  width: u32,
  // 1 where the plane of position 0, or of length - 2, says all: the rules add nothing to it.
  is_first_fixed: u32,
  is_last_fixed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> ancestors: array<u32>;
@group(0) @binding(4) var<storage, read_write> banned: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read> planes: array<u32>;
@group(0) @binding(6) var<storage, read> source: array<i32>;
@group(0) @binding(7) var<storage, read> sequences: array<i32>;

override has_ancestors: bool = false;
override has_planes: bool = false;

fn is_last() -> bool {
  return position[0] + 2u == params.length;
}

// Whether rules have a say.
fn is_open() -> bool {
  if (position[0] >= params.length) { return false; }
  if (is_last() && params.is_last_fixed != 0u) { return false; }
  return is_last() || position[0] > 0u || params.is_first_fixed == 0u;
}

@compute @workgroup_size(64)
fn clear(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  if (index >= params.batch * params.slots * params.words) { return; }
  var bits = 0u;
  if (has_planes) {
    let plane = select(min(position[0], 2u), 3u, is_last());
    bits = planes[plane * params.words + index % params.words];
  }
  atomicStore(&banned[index], bits);
}

fn token(row: u32, place: u32) -> i32 {
  var slot = row % params.slots;
  if (has_ancestors) { slot = ancestors[row * params.length + place]; }
  return tokens[(row / params.slots * params.length + place) * params.slots + slot];
}

fn set_bit(row: u32, token: i32) {
  if (token >= 0) { atomicOr(&banned[row * params.words + u32(token) / 32u], 1u << (u32(token) % 32u)); }
}

@compute @workgroup_size(64)
fn ban(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let row = index / params.length;
  let place = index % params.length;
  let last = position[0];
  // An n-gram that begins here must end within the sequence, whose last place is `last`.
  if (row >= params.batch * params.slots || !is_open() || place + params.size > last + 1u) { return; }
  for (var i = 0u; i + 1u < params.size; i++) {
    if (token(row, place + i) != token(row, last + 2u + i - params.size)) { return; }
  }
  set_bit(row, token(row, place + params.size - 1u));
}

@compute @workgroup_size(64)
fn ban_source(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let row = index / params.source_length;
  let place = index % params.source_length;
  let next = position[0] + 1u;
  if (row >= params.batch * params.slots || !is_open()) { return; }
  if (place + params.size > params.source_length || params.size > next + 1u) { return; }
  let first = row / params.slots * params.source_length + place;
  for (var i = 0u; i + 1u < params.size; i++) {
    if (source[first + i] != token(row, next + 1u + i - params.size)) { return; }
  }
  set_bit(row, source[first + params.size - 1u]);
}

@compute @workgroup_size(64)
fn ban_sequences(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let row = index / params.count;
  let first = index % params.count * params.width;
  let next = position[0] + 1u;
  if (row >= params.batch * params.slots || !is_open()) { return; }
  let size = u32(sequences[first]);
  if (size > next + 1u) { return; }
  for (var i = 0u; i + 1u < size; i++) {
    if (sequences[first + 1u + i] != token(row, next + 1u + i - size)) { return; }
  }
  set_bit(row, sequences[first + size]);
}
