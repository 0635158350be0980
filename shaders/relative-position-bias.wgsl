// T5's relative position bias: from a table of buckets to what is added to attention scores, and back.
//
//   table         [buckets, heads]
//   bias          [heads, queries, keys]     bias[h, q, k] = table[bucket(k − q), h]
//   diagonals     [heads, queries + keys − 1]  the bias's adjoint summed along each diagonal
//   table_gradient [buckets, heads]
//
// The bias depends on k − q alone, so an invocation of `forward` and `sum_diagonals` owns a diagonal; one of
// `sum_buckets` owns an entry of the table and adds its diagonals in order. No atomics: deterministic.
//
// Which bucket a distance falls into is decided on the host, because the logarithm of some distances lies
// so close to a whole number that a shader's log would put them elsewhere than the reference does. The
// host replaces the array below; the last entry also stands for every greater distance.

const bucket_of_distance = array<u32, 3>(0u, 1u, 2u);
const last_distance = 2u;

struct Params {
  heads: u32,
  queries: u32,
  keys: u32,
  buckets: u32,
  // First bucket of keys after the query; 0 where these count as distance 0 (decoder).
  later_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read> bias_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> diagonals: array<f32>;
@group(0) @binding(5) var<storage, read> all_diagonals: array<f32>;
@group(0) @binding(6) var<storage, read_write> table_gradient: array<f32>;

// Diagonal d holds the pairs with k − q = d − (queries − 1).
fn bucket(diagonal: u32) -> u32 {
  var of_distance = bucket_of_distance;
  let later = diagonal + 1u > params.queries;
  if (later && params.later_offset == 0u) { return of_distance[0]; }
  let middle = params.queries - 1u;
  let distance = select(middle - diagonal, diagonal - middle, later);
  return of_distance[min(distance, last_distance)] + select(0u, params.later_offset, later);
}

struct Diagonal {
  head: u32,
  index: u32,
  // Queries first up to (not including) end have a key on it.
  first: u32,
  end: u32,
}

fn diagonal_of(i: u32) -> Diagonal {
  let count = params.queries + params.keys - 1u;
  let index = i % count;
  let middle = params.queries - 1u;
  let first = select(middle - index, 0u, index > middle);
  return Diagonal(i / count, index, first, min(params.queries, params.keys + middle - index));
}

fn element(d: Diagonal, query: u32) -> u32 {
  let key = query + d.index + 1u - params.queries;
  return (d.head * params.queries + query) * params.keys + key;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.heads * (params.queries + params.keys - 1u)) { return; }
  let d = diagonal_of(i);
  let value = table[bucket(d.index) * params.heads + d.head];
  for (var query = d.first; query < d.end; query++) { bias[element(d, query)] = value; }
}

@compute @workgroup_size(64)
fn sum_diagonals(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.heads * (params.queries + params.keys - 1u)) { return; }
  let d = diagonal_of(i);
  var sum = 0.0;
  for (var query = d.first; query < d.end; query++) { sum += bias_gradient[element(d, query)]; }
  diagonals[i] = sum;
}

@compute @workgroup_size(64)
fn sum_buckets(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.buckets * params.heads) { return; }
  let wanted = id.x / params.heads;
  let count = params.queries + params.keys - 1u;
  let first = (id.x % params.heads) * count;
  var sum = 0.0;
  for (var diagonal = 0u; diagonal < count; diagonal++) {
    if (bucket(diagonal) == wanted) { sum += all_diagonals[first + diagonal]; }
  }
  table_gradient[id.x] = sum;
}
