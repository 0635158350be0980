// Copies `count` words from `source[source_offset…]` to `result[result_offset…]`.
//
// Words are u32, so that bits pass unchanged whatever they mean. This is the way of windows and
// gatherings whose offsets are not aligned, so nothing here assumes alignment either.

struct Params {
  count: u32,
  source_offset: u32,
  result_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i < params.count) { result[params.result_offset + i] = source[params.source_offset + i]; }
}
