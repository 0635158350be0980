// Writes one row per element of a batch into the caches of keys and of values, in place.
//
//   key, value              [batch, row_size]
//   position                [1], the row of the caches to write
//   key_cache, value_cache  [batch, length, row_size]
//
// A position beyond the caches writes nothing.

struct Params {
  batch: u32,
  length: u32,
  row_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> key: array<f32>;
@group(0) @binding(2) var<storage, read> value: array<f32>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read_write> key_cache: array<f32>;
@group(0) @binding(5) var<storage, read_write> value_cache: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  if (index >= params.batch * params.row_size || position[0] >= params.length) { return; }
  let batch = index / params.row_size;
  let column = index % params.row_size;
  let cached = (batch * params.length + position[0]) * params.row_size + column;
  key_cache[cached] = key[index];
  value_cache[cached] = value[index];
}
