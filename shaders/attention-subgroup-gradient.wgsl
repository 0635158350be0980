// The gradients of attention within subgroups of 8.
//
//   output, statistics       what the forward pass wrote
//   output_gradient          as output
//   query_gradient           as query                               written only if wants_query, and not is_self
//   key_value_gradient       as key_value; if is_self, the queries' gradient is in it too
//   diagonal_parts           [batch, heads, tiles, 8, 8] if wants_table: Σ ∂scores over tiles of 8 × 8 pairs along a
//                            diagonal. Tile t has the pairs with key − query = 8 · (t + 1 − query blocks) + lane − row,
//                            as (row / 4, lane, row % 4)
//   contexts                 [batch, heads, query blocks, 8], scratch: `context` below, of every query
//
// With p the softmax of the scores and m what dropout multiplies by (0 or 1 / (1 − rate)):
//
//   ∂value = (m · p)ᵀ · ∂output          ∂scores = p · (m · (∂output · valueᵀ) − context)
//   ∂query = ∂scores · key               context = Σ ∂output · output = Σ_key m · p · (∂output · valueᵀ)
//   ∂key = ∂scoresᵀ · query
//
// A workgroup owns a head of an element of the batch: block after block of keys, each with their values and the sums of
// both gradients, and goes over the queries for each. The queries' gradient is attention-subgroup-query-gradient.wgsl's.
//
// Terms of `context` are added in the order of those of ∂output · valueᵀ, so that a query with a single key has
// exactly no gradient.
//
// Continues attention-subgroup.wgsl, together with attention-subgroup-query-gradient.wgsl.

@group(0) @binding(6) var<storage, read> output: array<vec4f>;
@group(0) @binding(7) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(8) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> query_gradient: array<vec4f>;
@group(0) @binding(10) var<storage, read_write> key_value_gradient: array<vec4f>;
@group(0) @binding(11) var<storage, read_write> diagonal_parts: array<vec4f>;
@group(0) @binding(12) var<storage, read_write> contexts: array<f32>;

override is_self: bool = false;
override wants_query: bool = false;
override wants_key_value: bool = false;
override wants_table: bool = false;

// 32 features of the lane's query.
struct Vectors { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f }

fn own_vector(i: u32) -> vec4f { return key_value[i]; }

fn store_own_vector(i: u32, value: vec4f) { key_value_gradient[i] = value; }

fn query_vectors(at: u32) -> Vectors {
  return Vectors(
    query[at], query[at + 1u], query[at + 2u], query[at + 3u],
    query[at + 4u], query[at + 5u], query[at + 6u], query[at + 7u]
  );
}

fn output_vectors(at: u32) -> Vectors {
  return Vectors(
    output[at], output[at + 1u], output[at + 2u], output[at + 3u],
    output[at + 4u], output[at + 5u], output[at + 6u], output[at + 7u]
  );
}

fn gradient_vectors(at: u32) -> Vectors {
  return Vectors(
    output_gradient[at], output_gradient[at + 1u], output_gradient[at + 2u], output_gradient[at + 3u],
    output_gradient[at + 4u], output_gradient[at + 5u], output_gradient[at + 6u], output_gradient[at + 7u]
  );
}

// Products so far, and own rows' with every lane's query over four features.
fn plus_scores(products: Block, own: Rows, x: vec4f) -> Block {
  return Block(
    plus_products(products.lower, own, hand_round(x, false)), plus_products(products.upper, own, hand_round(x, true))
  );
}

fn plus_chunk_scores(products: Block, own: Chunk, x: Vectors) -> Block {
  let half = plus_scores(plus_scores(plus_scores(plus_scores(products, own.a, x.a), own.b, x.b), own.c, x.c), own.d, x.d);
  return plus_scores(plus_scores(plus_scores(plus_scores(half, own.e, x.e), own.f, x.f), own.g, x.g), own.h, x.h);
}

// Four features of the sums, and of every lane's query by its factors.
fn plus_rows(sums: Rows, factors: Block, x: vec4f) -> Rows {
  return plus_products(
    plus_products(sums, factors.lower, transpose(hand_round(x, false))), factors.upper, transpose(hand_round(x, true))
  );
}

fn plus_chunk_rows(sums: Chunk, factors: Block, x: Vectors) -> Chunk {
  return Chunk(
    plus_rows(sums.a, factors, x.a), plus_rows(sums.b, factors, x.b),
    plus_rows(sums.c, factors, x.c), plus_rows(sums.d, factors, x.d),
    plus_rows(sums.e, factors, x.e), plus_rows(sums.f, factors, x.f),
    plus_rows(sums.g, factors, x.g), plus_rows(sums.h, factors, x.h)
  );
}

fn plus_dot(sum: f32, x: vec4f, y: vec4f) -> f32 {
  return fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, sum))));
}

fn plus_chunk_dot(sum: f32, x: Vectors, y: Vectors) -> f32 {
  let half = plus_dot(plus_dot(plus_dot(plus_dot(sum, x.a, y.a), x.b, y.b), x.c, y.c), x.d, y.d);
  return plus_dot(plus_dot(plus_dot(plus_dot(half, x.e, y.e), x.f, y.f), x.g, y.g), x.h, y.h);
}

// Biases of eight queries from those of the eight before: eight queries on, a key is to them as the one before, eight
// keys back, was. `position` is that of the lane's first key relative to the first query.
fn next_biases(biases: Block, head: u32, position: i32) -> Block {
  return Block(
    four_moved_on(biases.lower, four_biases(head, position - vec4i(0, 1, 2, 3))),
    four_moved_on(biases.upper, four_biases(head, position - vec4i(4, 5, 6, 7)))
  );
}

fn masked_keys(at: Numbers) -> Flags {
  var mask: Numbers;
  mask[0] = u32(key_mask[at[0]]);
  mask[1] = u32(key_mask[at[1]]);
  if (OWN > 2u) { mask[OWN - 2u] = u32(key_mask[at[OWN - 2u]]); mask[OWN - 1u] = u32(key_mask[at[OWN - 1u]]); }
  return mask == Numbers();
}

// Probabilities of own keys to query `q`, from scores that want `open` added to them, or `closed` for keys after it.
fn probabilities(scores: Row, open: Row, closed: Row, k: Numbers, q: u32, maximum: f32, normaliser: f32) -> Row {
  var shift = open;
  if (causal) { shift = select(open, closed, k > Numbers(q)); }
  return exp(scores + shift - maximum) * normaliser;
}

fn four_probabilities(
  scores: Rows, open: Row, closed: Row, k: Numbers, q: u32, maximum: vec4f, normaliser: vec4f
) -> Rows {
  return Rows(
    probabilities(scores[0], open, closed, k, q, maximum.x, normaliser.x),
    probabilities(scores[1], open, closed, k, q + 1u, maximum.y, normaliser.y),
    probabilities(scores[2], open, closed, k, q + 2u, maximum.z, normaliser.z),
    probabilities(scores[3], open, closed, k, q + 3u, maximum.w, normaliser.w)
  );
}

fn four_kept(element: Numbers) -> Rows {
  let row = params.key_length;
  return Rows(kept(element), kept(element + row), kept(element + 2u * row), kept(element + 3u * row));
}

fn times(x: Rows, y: Rows) -> Rows { return Rows(x[0] * y[0], x[1] * y[1], x[2] * y[2], x[3] * y[3]); }

fn score_gradients(p: Rows, weight_gradients: Rows, context: vec4f) -> Rows {
  return Rows(
    p[0] * (weight_gradients[0] - context.x), p[1] * (weight_gradients[1] - context.y),
    p[2] * (weight_gradients[2] - context.z), p[3] * (weight_gradients[3] - context.w)
  );
}

@compute @workgroup_size(8)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let slice = group.y * workgroups.x + group.x;
  if (slice >= params.batch * params.heads) { return; }
  let batch = slice / params.heads;
  let head = slice % params.heads;
  let vectors = params.head_size / 4u;
  let query_row = params.query_stride / 4u;
  let output_row = params.heads * vectors;
  let query_start = batch * params.query_length * query_row + head * vectors;
  let key_start = (batch * params.key_length * params.key_stride + params.key_offset) / 4u + head * vectors;
  let output_start = batch * params.query_length * output_row + head * vectors;
  let query_blocks = (params.query_length + 7u) / 8u;
  let key_blocks = (params.key_length + 8u * OWN - 1u) / (8u * OWN);
  let tiles = query_blocks + OWN * key_blocks - 1u;
  let first_tile = 16u * tiles * slice + lane;
  if (wants_table) {
    for (var i = 0u; i < 2u * tiles; i++) { diagonal_parts[first_tile + 8u * i] = vec4f(); }
  }

  let first_context = 8u * query_blocks * slice + lane;
  for (var first = 0u; first < params.query_length; first += 8u) {
    let q = min(first + lane, params.query_length - 1u);
    let at = output_start + q * output_row;
    var context = plus_chunk_dot(0.0, gradient_vectors(at), output_vectors(at));
    if (CHUNKS > 1u) { context = plus_chunk_dot(context, gradient_vectors(at + 8u), output_vectors(at + 8u)); }
    contexts[first_context + first] = context;
  }

  for (var first_key = 0u; first_key < params.key_length; first_key += 8u * OWN) {
    let numbers = own_numbers(first_key + lane);
    let exist = numbers < Numbers(params.key_length);
    let k = min(numbers, Numbers(params.key_length - 1u));
    let own_start = key_start + k * (params.key_stride / 4u);
    let own_keys = chunk(own_start);
    let own_values = chunk(own_start + output_row);
    var more_own_keys: Chunk;
    var more_own_values: Chunk;
    if (CHUNKS > 1u) { more_own_keys = chunk(own_start + 8u); more_own_values = chunk(own_start + output_row + 8u); }
    // Of features that the lane owns for the queries' gradient.
    var keys: AllKeys;
    var more_keys: AllKeys;
    if (wants_query) { keys = all_keys(key_start + lane, first_key); }
    if (wants_query && CHUNKS > 1u) { more_keys = all_keys(key_start + lane + 8u, first_key); }

    var open = Row();
    if (has_key_mask) { open = select(open, Row(params.mask_value), masked_keys(batch * params.key_length + k)); }
    open = select(Row(LOWEST), open, exist);
    let closed = select(Row(LOWEST), Row(params.mask_value), exist);
    var biases = Block();
    let position = i32(first_key + lane);
    if (has_table && OWN > 2u) { biases = next_biases(next_biases(biases, head, position + 24), head, position + 16); }
    if (has_table) { biases = next_biases(biases, head, position + 8); }

    var key_sums = Chunk();
    var value_sums = Chunk();
    var more_key_sums = Chunk();
    var more_value_sums = Chunk();
    // Sums of tiles that are not complete: eight queries on, a row of eight keys has the tile that the row before had.
    var lower_open = mat3x4f();
    var upper_open = mat3x4f();
    for (var first = 0u; first < params.query_length; first += 8u) {
      let q = min(first + lane, params.query_length - 1u);
      let query_at = query_start + q * query_row;
      let output_at = output_start + q * output_row;
      let x = query_vectors(query_at);
      let y = gradient_vectors(output_at);
      var more_x: Vectors;
      var more_y: Vectors;
      if (CHUNKS > 1u) {
        more_x = query_vectors(query_at + 8u);
        more_y = gradient_vectors(output_at + 8u);
      }
      let context = contexts[first_context + first];
      // A query that does not exist has probabilities of 0.
      let statistic = statistics[slice * params.query_length + q];
      let normaliser = select(0.0, statistic.y, first + lane < params.query_length);

      var scores = Block();
      if (has_table) { biases = next_biases(biases, head, position - i32(first)); scores = biases; }
      scores = plus_chunk_scores(scores, own_keys, x);
      if (CHUNKS > 1u) { scores = plus_chunk_scores(scores, more_own_keys, more_x); }
      var weight_gradients = plus_chunk_scores(Block(), own_values, y);
      if (CHUNKS > 1u) { weight_gradients = plus_chunk_scores(weight_gradients, more_own_values, more_y); }

      let p = Block(
        four_probabilities(scores.lower, open, closed, k, first, four(statistic.x, false), four(normaliser, false)),
        four_probabilities(scores.upper, open, closed, k, first + 4u, four(statistic.x, true), four(normaliser, true))
      );
      var weights = p;
      if (has_dropout) {
        let element = (slice * params.query_length + first) * params.key_length + k;
        let keep = Block(four_kept(element), four_kept(element + 4u * params.key_length));
        weights = Block(times(p.lower, keep.lower), times(p.upper, keep.upper));
        weight_gradients = Block(times(weight_gradients.lower, keep.lower), times(weight_gradients.upper, keep.upper));
      }
      let gradients = Block(
        score_gradients(p.lower, weight_gradients.lower, four(context, false)),
        score_gradients(p.upper, weight_gradients.upper, four(context, true))
      );

      if (wants_key_value) {
        key_sums = plus_chunk_rows(key_sums, gradients, x);
        value_sums = plus_chunk_rows(value_sums, weights, y);
      }
      if (wants_key_value && CHUNKS > 1u) {
        more_key_sums = plus_chunk_rows(more_key_sums, gradients, more_x);
        more_value_sums = plus_chunk_rows(more_value_sums, weights, more_y);
      }
      if (wants_table) {
        let lower = transpose(gradients.lower);
        let upper = transpose(gradients.upper);
        let tile = first_tile + 16u * (first_key / 8u + query_blocks - 1u - first / 8u + OWN - 1u);
        diagonal_parts[tile] += lower_open[OWN - 2u] + lower[OWN - 1u];
        diagonal_parts[tile + 8u] += upper_open[OWN - 2u] + upper[OWN - 1u];
        if (OWN > 2u) {
          lower_open[2] = lower_open[1] + lower[OWN - 2u];
          upper_open[2] = upper_open[1] + upper[OWN - 2u];
          lower_open[1] = lower_open[0] + lower[1];
          upper_open[1] = upper_open[0] + upper[1];
        }
        lower_open[0] = lower[0];
        upper_open[0] = upper[0];
      }
      if (wants_query) {
        let is_first = first_key == 0u;
        let at = query_start + first * query_row + lane;
        let rows = params.query_length - first;
        add_to_four(at, 0u, rows, is_first, keys, gradients.lower);
        add_to_four(at, 4u, rows, is_first, keys, gradients.upper);
        if (CHUNKS > 1u) {
          add_to_four(at + 8u, 0u, rows, is_first, more_keys, gradients.lower);
          add_to_four(at + 8u, 4u, rows, is_first, more_keys, gradients.upper);
        }
      }
    }
    if (wants_table) {
      let tile = first_tile + 16u * (first_key / 8u);
      diagonal_parts[tile] += lower_open[0];
      diagonal_parts[tile + 8u] += upper_open[0];
      if (OWN > 2u) {
        diagonal_parts[tile + 16u] += lower_open[1];
        diagonal_parts[tile + 24u] += upper_open[1];
        diagonal_parts[tile + 32u] += lower_open[2];
        diagonal_parts[tile + 40u] += upper_open[2];
      }
    }
    if (wants_key_value) {
      store_chunk(key_sums, own_start, exist);
      store_chunk(value_sums, own_start + output_row, exist);
    }
    if (wants_key_value && CHUNKS > 1u) {
      store_chunk(more_key_sums, own_start + 8u, exist);
      store_chunk(more_value_sums, own_start + output_row + 8u, exist);
    }
  }
}
