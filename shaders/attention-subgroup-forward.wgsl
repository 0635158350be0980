// Attention within subgroups of 8: output = dropout(softmax(q·kᵀ + shift)) · v, per head.
//
//   output      [batch, query_length, heads · head_size]
//   statistics  [batch, heads, query_length]: maximum of the scores, 1 / Σ exp(score − maximum)
//
// shift = table[bucket(key − query), head] + mask_value where masked: the mask is added, not put in place of the
// score, so a row whose keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart
// because their combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// A workgroup owns a block of queries of one head and goes over the keys with an online softmax.
//
// Continues attention-subgroup.wgsl.

@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> statistics: array<vec2f>;

fn own_vector(i: u32) -> vec4f { return query[i]; }

fn store_own_vector(i: u32, value: vec4f) { output[i] = value; }

fn scaled(m: Rows, factor: Row) -> Rows {
  return Rows(m[0] * factor, m[1] * factor, m[2] * factor, m[3] * factor);
}

fn scaled_chunk(m: Chunk, factor: Row) -> Chunk {
  return Chunk(
    scaled(m.a, factor), scaled(m.b, factor), scaled(m.c, factor), scaled(m.d, factor),
    scaled(m.e, factor), scaled(m.f, factor), scaled(m.g, factor), scaled(m.h, factor)
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
  sum = plus_scores(sum, own.a, key_value[at]);
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
    plus_values(sums.a, rescale, weights, key_value[at]),
    plus_values(sums.b, rescale, weights, key_value[at + 1u]),
    plus_values(sums.c, rescale, weights, key_value[at + 2u]),
    plus_values(sums.d, rescale, weights, key_value[at + 3u]),
    plus_values(sums.e, rescale, weights, key_value[at + 4u]),
    plus_values(sums.f, rescale, weights, key_value[at + 5u]),
    plus_values(sums.g, rescale, weights, key_value[at + 6u]),
    plus_values(sums.h, rescale, weights, key_value[at + 7u])
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
  let numbers = own_numbers(first_query);
  let exist = numbers < Numbers(params.query_length);
  let q = min(numbers, Numbers(params.query_length - 1u));
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
  store_chunk(scaled_chunk(sums, normaliser), output_at, exist);
  if (CHUNKS > 1u) { store_chunk(scaled_chunk(more_sums, normaliser), output_at + 8u, exist); }
}
