// The tokens that would repeat an n-gram: for each sequence those that followed, somewhere in it, the same
// size - 1 tokens that it ends with.
//
//   tokens     [batch, length, slots]
//   position   [1], of the newest token
//   ancestors  [batch, slots, length], a slot for each position  read only if has_ancestors
//   banned     [batch, slots, ⌈vocabulary / 32⌉], a bit for each token
//
// `clear`, an invocation per word, then `ban`, one per sequence and place where an n-gram may begin: several
// of them may set bits of one word, in whatever order.

struct Params {
  batch: u32,
  slots: u32,
  length: u32,
  // Words of 32 tokens.
  words: u32,
  // Tokens of an n-gram.
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> ancestors: array<u32>;
@group(0) @binding(4) var<storage, read_write> banned: array<atomic<u32>>;

override has_ancestors: bool = false;

@compute @workgroup_size(64)
fn clear(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  if (index < params.batch * params.slots * params.words) { atomicStore(&banned[index], 0u); }
}

fn token(row: u32, place: u32) -> u32 {
  var slot = row % params.slots;
  if (has_ancestors) { slot = ancestors[row * params.length + place]; }
  return u32(tokens[(row / params.slots * params.length + place) * params.slots + slot]);
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
  if (row >= params.batch * params.slots || last >= params.length || place + params.size > last + 1u) { return; }
  for (var i = 0u; i + 1u < params.size; i++) {
    if (token(row, place + i) != token(row, last + 2u + i - params.size)) { return; }
  }
  let repeated = token(row, place + params.size - 1u);
  atomicOr(&banned[row * params.words + repeated / 32u], 1u << (repeated % 32u));
}
