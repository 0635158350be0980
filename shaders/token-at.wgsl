// The token of every sequence at the current position: what a decoding step embeds.
//
//   tokens    [batch, length, slots]
//   position  [1]
//   result    [batch, slots]
//
// A position past the end reads the last one.

struct Params {
  batch: u32,
  length: u32,
  slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.batch * params.slots) { return; }
  let batch = id.x / params.slots;
  let at = min(position[0], params.length - 1u);
  result[id.x] = tokens[(batch * params.length + at) * params.slots + id.x % params.slots];
}
