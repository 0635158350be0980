// The softmax between the matrix products of attention, and its gradient: for CPU adapters without subgroups, where
// products of large blocks, with the scores in memory between them, are faster than a kernel that does it all. So that
// this memory is bounded, a dispatch handles a chunk: some elements of the batch, and some of their queries.
//
//   scores           [batch, heads, queries, row_vectors] vec4s; query · key, overwritten by the weights
//   score_gradients  as scores; ∂output · value, overwritten by ∂scores
//                    (score_gradient where single ones are read)
//   table            [buckets, heads], position bias           read only if has_table
//   key_mask         [whole batch, key_length], 0 where masked read only if has_key_mask
//   seed             [2]                                       read only if has_dropout
//   statistics       [whole batch, heads, query_length, 2]: maximum of the scores, 1 / Σ exp(score − maximum)
//                    (forward_statistics where a pass reads what the forward pass wrote)
//   diagonals        [heads, query_length + key_length − 1], Σ ∂scores along key − query, from 1 − query_length up
//                    (diagonal_sums where a pass reads it)
//   table_gradient   as table
//
// With p the softmax of the scores and m what dropout multiplies by (0 or 1 / (1 − rate)):
//
//   weights = m · p                ∂scores = p · (m · (∂output · value) − Σ_key m · p · (∂output · value))
//   p = softmax(scores + shift)    ∂table[n, head] = Σ ∂scores of the pairs in bucket n
//
// shift = table[bucket(key − query), head] + mask_value where masked: the mask is added, not put in place of the
// score, so a row whose keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart
// because their combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// One invocation owns one row (or diagonal, or element of the table) and goes along it in order, so the same operands
// give the same bits. Rows of scores are padded to whole vec4s, of which the padding holds nothing of use.

// Replaced when the shader is specialised: bucket n of one direction begins at distance FIRST_DISTANCES[n], which
// is n up to EXACT_DISTANCES. The host works that out because the logarithm in it rounds differently between
// adapters.
const FIRST_DISTANCES = array<u32, 2>(0u, 1u);
const EXACT_DISTANCES = 1u;
const DIRECTION_BUCKETS = 2u;
const BIDIRECTIONAL = true;
const BUCKETS = 4u;

struct Params {
  // Of the chunk.
  batch: u32,
  queries: u32,
  first_batch: u32,
  first_query: u32,
  // Of the problem.
  heads: u32,
  query_length: u32,
  key_length: u32,
  head_size: u32,
  mask_value: f32,
  dropout_rate: f32,
  dropout_site: u32,
  // Whether the chunk's part is added to the diagonals' sums, and is not their beginning.
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> key_mask: array<i32>;
@group(0) @binding(3) var<storage, read> seed: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(6) var<storage, read> forward_statistics: array<f32>;
@group(0) @binding(7) var<storage, read_write> score_gradients: array<vec4f>;
@group(0) @binding(8) var<storage, read> score_gradient: array<f32>;
@group(0) @binding(9) var<storage, read_write> diagonals: array<f32>;
@group(0) @binding(10) var<storage, read> diagonal_sums: array<f32>;
@group(0) @binding(11) var<storage, read_write> table_gradient: array<f32>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

// One vector of a CPU adapter's lanes.
const WORKGROUP_SIZE = 8u;

struct Row {
  batch: u32,
  head: u32,
  query: u32,
}

// A row by its number among all rows of the problem.
fn row_at(number: u32) -> Row {
  let slice = number / params.query_length;
  return Row(slice / params.heads, slice % params.heads, number % params.query_length);
}

// Rows of the chunk.
fn row_count() -> u32 { return params.batch * params.heads * params.queries; }

fn row_vectors() -> u32 { return (params.key_length + 3u) / 4u; }

// Which of four keys there are.
fn exists(first_key: u32) -> vec4<bool> {
  return first_key + vec4u(0, 1, 2, 3) < vec4u(params.key_length);
}

// The rows of the table for four positions relative to the query.
fn bucket(position: vec4i) -> vec4u {
  let distance = vec4u(max(-position, select(vec4i(), position, BIDIRECTIONAL)));
  var result = min(distance, vec4u(EXACT_DISTANCES));
  for (var n = EXACT_DISTANCES + 1u; n < DIRECTION_BUCKETS; n++) {
    result += select(vec4u(), vec4u(1), distance >= vec4u(FIRST_DISTANCES[n]));
  }
  return result + select(vec4u(), vec4u(DIRECTION_BUCKETS), (position > vec4i()) & vec4<bool>(BIDIRECTIONAL));
}

// What is added to the scores of a row to four keys.
fn shift(row: Row, first_key: u32) -> vec4f {
  let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
  var sum = vec4f();
  if (has_table) {
    let i = bucket(vec4i(k) - vec4i(i32(row.query))) * params.heads + row.head;
    sum = vec4f(table[i.x], table[i.y], table[i.z], table[i.w]);
  }
  var masked = vec4<bool>();
  if (has_key_mask) {
    let i = row.batch * params.key_length + k;
    masked = vec4i(key_mask[i.x], key_mask[i.y], key_mask[i.z], key_mask[i.w]) == vec4i();
  }
  if (causal) { masked |= k > vec4u(row.query); }
  return sum + select(vec4f(), vec4f(params.mask_value), masked);
}

// Which of four elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(first_element: u32) -> vec4f {
  var x = (first_element + vec4u(0, 1, 2, 3)) * 1664525u + 1013904223u;
  var y = vec4u((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = vec4u(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  return select(vec4f(), vec4f(dropout_scale()), uniform_numbers >= vec4f(params.dropout_rate));
}

fn dropout_scale() -> f32 { return 1.0 / (1.0 - params.dropout_rate); }

@compute @workgroup_size(WORKGROUP_SIZE)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  if (index >= row_count()) { return; }
  let slice = params.first_batch * params.heads + index / params.queries;
  let number = slice * params.query_length + params.first_query + index % params.queries;
  let row = row_at(number);
  let vectors = row_vectors();

  var maximum = LOWEST;
  var total = 0.0;
  for (var v = 0u; v < vectors; v++) {
    let shifted = scores[index * vectors + v] + shift(row, 4u * v);
    scores[index * vectors + v] = shifted;
    let four = select(vec4f(LOWEST), shifted, exists(4u * v));
    let highest = max(maximum, max(max(four.x, four.y), max(four.z, four.w)));
    let exponentials = select(vec4f(), exp(four - highest), exists(4u * v));
    total = total * exp(maximum - highest) +
      ((exponentials.x + exponentials.y) + (exponentials.z + exponentials.w));
    maximum = highest;
  }

  let normaliser = 1.0 / total;
  for (var v = 0u; v < vectors; v++) {
    var weights = exp(scores[index * vectors + v] - maximum) * normaliser;
    if (has_dropout) { weights *= kept(number * params.key_length + 4u * v); }
    scores[index * vectors + v] = weights;
  }
  statistics[2u * number] = maximum;
  statistics[2u * number + 1u] = normaliser;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  if (index >= row_count()) { return; }
  let slice = params.first_batch * params.heads + index / params.queries;
  let number = slice * params.query_length + params.first_query + index % params.queries;
  let row = row_at(number);
  let vectors = row_vectors();
  let maximum = forward_statistics[2u * number];
  let normaliser = forward_statistics[2u * number + 1u];

  var mean = 0.0;
  for (var v = 0u; v < vectors; v++) {
    let shifted = scores[index * vectors + v] + shift(row, 4u * v);
    var probabilities = exp(shifted - maximum) * normaliser;
    var products = probabilities * score_gradients[index * vectors + v];
    if (has_dropout) {
      let keep = kept(number * params.key_length + 4u * v);
      products *= keep;
      // The sign remembers what was dropped.
      probabilities = select(-probabilities, probabilities, keep > vec4f());
    }
    scores[index * vectors + v] = probabilities;
    products = select(vec4f(), products, exists(4u * v));
    mean += (products.x + products.y) + (products.z + products.w);
  }

  for (var v = 0u; v < vectors; v++) {
    var probabilities = scores[index * vectors + v];
    var gradients = score_gradients[index * vectors + v];
    if (has_dropout) {
      let keep = select(vec4f(), vec4f(dropout_scale()), probabilities >= vec4f());
      probabilities = abs(probabilities);
      scores[index * vectors + v] = keep * probabilities;
      gradients *= keep;
    }
    score_gradients[index * vectors + v] = probabilities * (gradients - mean);
  }
}

// The chunk's part of the sums along diagonals, one invocation each. An invocation for a whole bucket would have
// more pairs than llvmpipe lets a loop have iterations: 65535.
@compute @workgroup_size(WORKGROUP_SIZE)
fn sum_diagonals(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  let count = params.query_length + params.key_length - 1u;
  if (index >= params.heads * count) { return; }
  let head = index / count;
  let position = i32(index % count) - i32(params.query_length - 1u);
  // The chunk's queries that have a key there.
  let first = max(params.first_query, u32(max(-position, 0)));
  let end = min(i32(params.first_query + params.queries), i32(params.key_length) - position);
  var sum = 0.0;
  for (var batch = 0u; batch < params.batch; batch++) {
    var batch_sum = 0.0;
    for (var q = first; i32(q) < end; q++) {
      let row = (batch * params.heads + head) * params.queries + q - params.first_query;
      batch_sum += score_gradient[4u * row_vectors() * row + u32(i32(q) + position)];
    }
    sum += batch_sum;
  }
  if (params.accumulate != 0u) { sum += diagonals[index]; }
  diagonals[index] = sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn sum_buckets(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  if (index >= BUCKETS * params.heads) { return; }
  let row = index / params.heads;
  let head = index % params.heads;
  let count = params.query_length + params.key_length - 1u;
  var sum = 0.0;
  for (var i = 0u; i < count; i++) {
    let position = i32(i) - i32(params.query_length - 1u);
    // Not a product with 0 or 1: that would spread a NaN of one distance to every bucket.
    if (bucket(vec4i(position)).x == row) { sum += diagonal_sums[head * count + i]; }
  }
  table_gradient[index] = sum;
}
