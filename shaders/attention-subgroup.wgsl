// Attention within subgroups of 8, for CPU adapters: output = dropout(softmax(q·kᵀ + shift)) · v, per head.
//
//   query       [batch, query_length, query_stride], of which the first heads · head_size columns are the queries
//   key_value   [batch, key_length, key_stride], of which so many columns from key_offset on are the keys, and the
//               next as many the values; in self-attention the same buffer as query
//   table       [buckets, heads], position bias       read only if has_table
//   key_mask    [batch, key_length], 0 where masked   read only if has_key_mask
//   seed        [2]                                   read only if has_dropout
//   output      [batch, query_length, heads · head_size]
//   statistics  [batch, heads, query_length]: maximum of the scores, 1 / Σ exp(score − maximum)
//
// shift = table[bucket(key − query), head] + mask_value where masked: the mask is added, not put in place of the
// score, so a row whose keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart
// because their combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// A workgroup is one subgroup. Lane l owns queries l, l + 8 … of a block, all their features and all their sums, and
// goes over the keys eight at a time with an online softmax. Each lane loads a different key and value, which
// subgroupBroadcast hands to the others: a load is a gather there and costs more than ten multiply-adds, a broadcast
// is one shuffle. So a load serves all queries of the block, and no sum ever leaves its lane.
//
// Everything is written out, in numbers rather than arrays, because an index that is not a constant costs a gather
// there too. Where a key or query does not exist, the last one stands for it.

// Replaced when the shader is specialised: chunks of 32 features of a head, 1 or 2, and queries that a lane owns,
// 2 or 4. Types of 4 become types of 2 with it.
const CHUNKS = 1u;
const OWN = 4u;

// A number for each of the lane's own queries, and four of those.
alias Row = vec4f;
alias Rows = mat4x4f;
alias Turned = mat4x4f;
alias Numbers = vec4u;
alias Flags = vec4<bool>;

// Replaced too; see `bucket`. The host works distances out because the logarithm in them rounds differently between
// adapters.
const EXACT_DISTANCES = 1u;
const DIRECTION_BUCKETS = 2u;
const BIDIRECTIONAL = true;

struct Params {
  batch: u32,
  heads: u32,
  query_length: u32,
  key_length: u32,
  head_size: u32,
  mask_value: f32,
  dropout_rate: f32,
  dropout_site: u32,
  // Columns of the operands, and the keys' first.
  query_stride: u32,
  key_stride: u32,
  key_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key_value: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> key_mask: array<i32>;
@group(0) @binding(5) var<storage, read> seed: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> statistics: array<vec2f>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

// Rows by eight keys.
struct Block { lower: Rows, upper: Rows }

// Rows by 32 features.
struct Chunk { a: Rows, b: Rows, c: Rows, d: Rows, e: Rows, f: Rows, g: Rows, h: Rows }

// Four features of own queries, from where their vectors lie.
fn features(at: Numbers) -> Rows {
  var own: Turned;
  own[0] = query[at[0]];
  own[1] = query[at[1]];
  if (OWN > 2u) {
    own[OWN - 2u] = query[at[OWN - 2u]];
    own[OWN - 1u] = query[at[OWN - 1u]];
  }
  return transpose(own);
}

fn chunk(at: Numbers) -> Chunk {
  return Chunk(
    features(at), features(at + 1u), features(at + 2u), features(at + 3u),
    features(at + 4u), features(at + 5u), features(at + 6u), features(at + 7u)
  );
}

fn store_features(values: Rows, at: Numbers, exist: Flags) {
  let own = transpose(values);
  if (exist[0]) { output[at[0]] = own[0]; }
  if (exist[1]) { output[at[1]] = own[1]; }
  if (OWN > 2u && exist[OWN - 2u]) { output[at[OWN - 2u]] = own[OWN - 2u]; }
  if (OWN > 2u && exist[OWN - 1u]) { output[at[OWN - 1u]] = own[OWN - 1u]; }
}

fn store_chunk(values: Chunk, factor: Row, at: Numbers, exist: Flags) {
  store_features(scaled(values.a, factor), at + 0u, exist);
  store_features(scaled(values.b, factor), at + 1u, exist);
  store_features(scaled(values.c, factor), at + 2u, exist);
  store_features(scaled(values.d, factor), at + 3u, exist);
  store_features(scaled(values.e, factor), at + 4u, exist);
  store_features(scaled(values.f, factor), at + 5u, exist);
  store_features(scaled(values.g, factor), at + 6u, exist);
  store_features(scaled(values.h, factor), at + 7u, exist);
}

// The vectors that lanes 0 … 3, or 4 … 7, have loaded; a column for each.
fn hand_round(mine: vec4f, upper: bool) -> mat4x4f {
  if (upper) {
    return mat4x4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u), subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return mat4x4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u), subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

// The numbers that lanes 0 … 3, or 4 … 7, have.
fn four(mine: f32, upper: bool) -> vec4f {
  if (upper) {
    return vec4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u), subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return vec4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u), subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

fn scaled(m: Rows, factor: Row) -> Rows {
  return Rows(m[0] * factor, m[1] * factor, m[2] * factor, m[3] * factor);
}

// sum + m · x, a chain of fused multiply-adds.
fn plus_product(sum: Row, m: Rows, x: vec4f) -> Row {
  return fma(m[3], Row(x.w), fma(m[2], Row(x.z), fma(m[1], Row(x.y), fma(m[0], Row(x.x), sum))));
}

fn plus_products(sums: Rows, m: Rows, x: mat4x4f) -> Rows {
  return Rows(
    plus_product(sums[0], m, x[0]), plus_product(sums[1], m, x[1]),
    plus_product(sums[2], m, x[2]), plus_product(sums[3], m, x[3])
  );
}

// Scores, and own queries' products with every lane's key over four features.
fn plus_scores(scores: Block, own: Rows, key: vec4f) -> Block {
  return Block(
    plus_products(scores.lower, own, hand_round(key, false)), plus_products(scores.upper, own, hand_round(key, true))
  );
}

fn plus_chunk_scores(scores: Block, own: Chunk, at: u32) -> Block {
  var sum = scores;
  sum = plus_scores(sum, own.a, key_value[at + 0u]);
  sum = plus_scores(sum, own.b, key_value[at + 1u]);
  sum = plus_scores(sum, own.c, key_value[at + 2u]);
  sum = plus_scores(sum, own.d, key_value[at + 3u]);
  sum = plus_scores(sum, own.e, key_value[at + 4u]);
  sum = plus_scores(sum, own.f, key_value[at + 5u]);
  sum = plus_scores(sum, own.g, key_value[at + 6u]);
  sum = plus_scores(sum, own.h, key_value[at + 7u]);
  return sum;
}

// Four features of the sums, of keys so far times `rescale`, and of every lane's value by its weights.
fn plus_values(sums: Rows, rescale: Row, weights: Block, value: vec4f) -> Rows {
  let lower = plus_products(scaled(sums, rescale), weights.lower, transpose(hand_round(value, false)));
  return plus_products(lower, weights.upper, transpose(hand_round(value, true)));
}

fn plus_chunk_values(sums: Chunk, rescale: Row, weights: Block, at: u32) -> Chunk {
  return Chunk(
    plus_values(sums.a, rescale, weights, key_value[at + 0u]), plus_values(sums.b, rescale, weights, key_value[at + 1u]),
    plus_values(sums.c, rescale, weights, key_value[at + 2u]), plus_values(sums.d, rescale, weights, key_value[at + 3u]),
    plus_values(sums.e, rescale, weights, key_value[at + 4u]), plus_values(sums.f, rescale, weights, key_value[at + 5u]),
    plus_values(sums.g, rescale, weights, key_value[at + 6u]), plus_values(sums.h, rescale, weights, key_value[at + 7u])
  );
}

// The rows of the table for four positions relative to the query.
fn bucket(position: vec4i) -> vec4u {
  let distance = vec4u(max(-position, select(vec4i(), position, BIDIRECTIONAL)));
  // Replaced when the shader is specialised: a 1 for each further bucket of a direction that the distance reaches.
  let further = vec4u();
  let after = select(vec4u(), vec4u(DIRECTION_BUCKETS), (position > vec4i()) & vec4<bool>(BIDIRECTIONAL));
  return min(distance, vec4u(EXACT_DISTANCES)) + further + after;
}

fn four_biases(head: u32, position: vec4i) -> vec4f {
  let i = bucket(position) * params.heads + head;
  return vec4f(table[i.x], table[i.y], table[i.z], table[i.w]);
}

fn moved_on(biases: Row, first: f32) -> Row {
  var row = biases;
  if (OWN > 2u) {
    row[OWN - 1u] = biases[OWN - 2u];
    row[OWN - 2u] = biases[1];
  }
  row[1] = biases[0];
  row[0] = first;
  return row;
}

fn four_moved_on(biases: Rows, first: vec4f) -> Rows {
  return Rows(
    moved_on(biases[0], first.x), moved_on(biases[1], first.y),
    moved_on(biases[2], first.z), moved_on(biases[3], first.w)
  );
}

// Biases to eight keys from those to the eight before: eight keys on, a query is to them as the one before, eight
// queries back, was. `position` is that of the first key relative to the lane's first query.
fn next_biases(biases: Block, head: u32, position: i32) -> Block {
  return Block(
    four_moved_on(biases.lower, four_biases(head, position + vec4i(0, 1, 2, 3))),
    four_moved_on(biases.upper, four_biases(head, position + vec4i(4, 5, 6, 7)))
  );
}

// Scores of key `k` with its shift: `open`, or `closed` for queries before it.
fn shifted(scores: Row, q: Numbers, k: u32, open: f32, closed: f32) -> Row {
  if (causal) { return scores + select(Row(open), Row(closed), Numbers(k) > q); }
  return scores + open;
}

fn four_shifted(scores: Rows, q: Numbers, k: u32, open: vec4f, closed: vec4f) -> Rows {
  return Rows(
    shifted(scores[0], q, k, open.x, closed.x), shifted(scores[1], q, k + 1u, open.y, closed.y),
    shifted(scores[2], q, k + 2u, open.z, closed.z), shifted(scores[3], q, k + 3u, open.w, closed.w)
  );
}

fn highest_of(m: Rows) -> Row { return max(max(m[0], m[1]), max(m[2], m[3])); }

fn sum_of(m: Rows) -> Row { return (m[0] + m[1]) + (m[2] + m[3]); }

fn exponentials(m: Rows, maximum: Row) -> Rows {
  return Rows(exp(m[0] - maximum), exp(m[1] - maximum), exp(m[2] - maximum), exp(m[3] - maximum));
}

// Which elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(element: Numbers) -> Row {
  var x = element * 1664525u + 1013904223u;
  var y = Numbers((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = Numbers(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> Numbers(16u); y ^= y >> Numbers(16u); z ^= z >> Numbers(16u);
  x += y * z;
  let uniform_numbers = Row(x >> Numbers(8u)) * (1.0 / 16777216.0);
  return select(Row(), Row(1.0 / (1.0 - params.dropout_rate)), uniform_numbers >= Row(params.dropout_rate));
}

fn dropped_out(m: Rows, element: Numbers) -> Rows {
  return Rows(m[0] * kept(element), m[1] * kept(element + 1u), m[2] * kept(element + 2u), m[3] * kept(element + 3u));
}

@compute @workgroup_size(8)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let blocks = (params.query_length + 8u * OWN - 1u) / (8u * OWN);
  let slice = number / blocks;
  if (slice >= params.batch * params.heads) { return; }
  let batch = slice / params.heads;
  let head = slice % params.heads;
  let first_query = number % blocks * (8u * OWN) + lane;
  var own_numbers = Numbers(first_query);
  own_numbers[1] += 8u;
  if (OWN > 2u) {
    own_numbers[OWN - 2u] += 16u;
    own_numbers[OWN - 1u] += 24u;
  }
  let exist = own_numbers < Numbers(params.query_length);
  let q = min(own_numbers, Numbers(params.query_length - 1u));
  let rows = slice * params.query_length + q;

  let own_start = ((batch * params.query_length + q) * params.query_stride + head * params.head_size) / 4u;
  let own = chunk(own_start);
  var more_own: Chunk;
  if (CHUNKS > 1u) { more_own = chunk(own_start + 8u); }
  var biases = Block();
  if (has_table && OWN > 2u) {
    biases = next_biases(next_biases(biases, head, -24 - i32(first_query)), head, -16 - i32(first_query));
  }
  if (has_table) { biases = next_biases(biases, head, -8 - i32(first_query)); }

  var sums = Chunk();
  var more_sums = Chunk();
  var maximum = Row(LOWEST);
  var total = Row();
  for (var first = 0u; first < params.key_length; first += 8u) {
    let key = min(first + lane, params.key_length - 1u);
    let row = batch * params.key_length + key;
    let key_at = (row * params.key_stride + params.key_offset + head * params.head_size) / 4u;
    let value_at = key_at + params.heads * params.head_size / 4u;

    var scores = Block();
    if (has_table) { biases = next_biases(biases, head, i32(first) - i32(first_query)); scores = biases; }
    scores = plus_chunk_scores(scores, own, key_at);
    if (CHUNKS > 1u) { scores = plus_chunk_scores(scores, more_own, key_at + 8u); }
    var open = 0.0;
    if (has_key_mask) { open = select(params.mask_value, 0.0, key_mask[row] != 0); }
    open = select(LOWEST, open, first + lane < params.key_length);
    let closed = select(LOWEST, params.mask_value, first + lane < params.key_length);
    let lower = four_shifted(scores.lower, q, first, four(open, false), four(closed, false));
    let upper = four_shifted(scores.upper, q, first + 4u, four(open, true), four(closed, true));

    let highest = max(maximum, max(highest_of(lower), highest_of(upper)));
    let rescale = exp(maximum - highest);
    maximum = highest;
    var weights = Block(exponentials(lower, highest), exponentials(upper, highest));
    total = total * rescale + (sum_of(weights.lower) + sum_of(weights.upper));
    if (has_dropout) {
      let element = rows * params.key_length + first;
      weights = Block(dropped_out(weights.lower, element), dropped_out(weights.upper, element + 4u));
    }
    sums = plus_chunk_values(sums, rescale, weights, value_at);
    if (CHUNKS > 1u) { more_sums = plus_chunk_values(more_sums, rescale, weights, value_at + 8u); }
  }

  let normaliser = Row(1.0) / total;
  if (exist[0]) { statistics[rows[0]] = vec2f(maximum[0], normaliser[0]); }
  if (exist[1]) { statistics[rows[1]] = vec2f(maximum[1], normaliser[1]); }
  if (OWN > 2u && exist[OWN - 2u]) { statistics[rows[OWN - 2u]] = vec2f(maximum[OWN - 2u], normaliser[OWN - 2u]); }
  if (OWN > 2u && exist[OWN - 1u]) { statistics[rows[OWN - 1u]] = vec2f(maximum[OWN - 1u], normaliser[OWN - 1u]); }
  let output_at = ((batch * params.query_length + q) * params.heads + head) * (params.head_size / 4u);
  store_chunk(sums, normaliser, output_at, exist);
  if (CHUNKS > 1u) { store_chunk(more_sums, normaliser, output_at + 8u, exist); }
}
