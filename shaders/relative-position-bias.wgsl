// T5's relative position bias: bias[head, q, k] = table[bucket(k − (q + query_offset)), head], and its gradient.
//
//   table           [buckets, heads]
//   bias            [heads, query_length, key_length]
//   bias_gradient   as bias
//   diagonals       [heads, query_length + key_length − 1]: bias_gradient summed along k − q
//   table_gradient  as table
//
// Which distances share a bucket depends on a logarithm whose rounding differs between adapters, so the host
// works it out: bucket n of one direction begins at distance FIRST_DISTANCES[n].
//
// The gradient is two sums, each by one invocation in a fixed order: along diagonals (all pairs of one distance),
// then over the distances of a bucket.

// Replaced when the shader is specialised.
const FIRST_DISTANCES = array<u32, 2>(0u, 1u);
const BIDIRECTIONAL = true;
const DIRECTION_BUCKETS = 2u;

struct Params {
  heads: u32,
  query_length: u32,
  key_length: u32,
  query_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read> bias_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> diagonals: array<f32>;
@group(0) @binding(5) var<storage, read> diagonal_sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> table_gradient: array<f32>;

// The row of the table for a position relative to the query.
fn bucket(position: i32) -> u32 {
  let backward = BIDIRECTIONAL && position <= 0;
  let distance = u32(select(max(-position, 0), abs(position), BIDIRECTIONAL));
  var result = 0u;
  for (var n = 1u; n < DIRECTION_BUCKETS; n++) {
    result += select(0u, 1u, distance >= FIRST_DISTANCES[n]);
  }
  return result + select(0u, DIRECTION_BUCKETS, BIDIRECTIONAL && !backward);
}

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  if (index >= params.heads * params.query_length * params.key_length) { return; }
  let k = index % params.key_length;
  let q = index / params.key_length % params.query_length;
  let head = index / (params.key_length * params.query_length);
  bias[index] = table[bucket(i32(k) - i32(q + params.query_offset)) * params.heads + head];
}

@compute @workgroup_size(64)
fn sum_diagonals(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let count = params.query_length + params.key_length - 1u;
  if (index >= params.heads * count) { return; }
  let head = index / count;
  // k − q, from −(query_length − 1) up.
  let distance = i32(index % count) - i32(params.query_length - 1u);
  var sum = 0.0;
  let first = u32(max(-distance, 0));
  let end = u32(min(i32(params.query_length), i32(params.key_length) - distance));
  for (var q = first; q < end; q++) {
    let k = u32(i32(q) + distance);
    sum += bias_gradient[(head * params.query_length + q) * params.key_length + k];
  }
  diagonals[index] = sum;
}

@compute @workgroup_size(64)
fn sum_buckets(@builtin(global_invocation_id) id: vec3u) {
  let buckets = select(1u, 2u, BIDIRECTIONAL) * DIRECTION_BUCKETS;
  if (id.x >= buckets * params.heads) { return; }
  let row = id.x / params.heads;
  let head = id.x % params.heads;
  let count = params.query_length + params.key_length - 1u;
  var sum = 0.0;
  for (var i = 0u; i < count; i++) {
    let distance = i32(i) - i32(params.query_length - 1u + params.query_offset);
    // Not a product with 0 or 1: that would spread a NaN of one distance to every bucket.
    if (bucket(distance) == row) { sum += diagonal_sums[head * count + i]; }
  }
  table_gradient[id.x] = sum;
}
