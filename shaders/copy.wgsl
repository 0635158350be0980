// Copies `count` elements from `source[source_offset…]` to `result[result_offset…]`: words or halves.
//
// Words are u32, so that bits pass unchanged whatever they mean. This is the way of windows and
// gatherings whose offsets are not aligned, so nothing here assumes alignment either.

struct Params {
  // In elements.
  count: u32,
  source_offset: u32,
  result_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn words(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i < params.count) { result[params.result_offset + i] = source[params.source_offset + i]; }
}

// One invocation per word of the result, of which the first and the last may keep a half.
@compute @workgroup_size(64)
fn halves(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let word = params.result_offset / 2u + id.y * (groups.x * 64u) + id.x;
  let end = params.result_offset + params.count;
  if (2u * word >= end) { return; }
  var value = result[word];
  for (var to = max(2u * word, params.result_offset); to < min(2u * word + 2u, end); to++) {
    let at = params.source_offset + to - params.result_offset;
    let bits = (source[at / 2u] >> (16u * (at % 2u))) & 0xffffu;
    let shift = 16u * (to % 2u);
    value = (value & ~(0xffffu << shift)) | (bits << shift);
  }
  result[word] = value;
}
