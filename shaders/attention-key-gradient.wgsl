// Backward attention by tiles in workgroup memory, for GPUs: the gradients of the keys and of the values.
//
//   output_gradient     [batch, query_length, heads · head_size]
//   query               [batch, query_length, query_stride], of which the first heads · head_size columns are the
//                       queries
//   key_value           [batch, key_length, key_stride], of which so many columns from key_offset on are the keys,
//                       and the next as many the values; in self-attention the same buffer as query
//   table               [buckets, heads], position bias     read only if has_table
//   context             words; made by attention-tiled.wgsl, which see
//   pair_sums           from params.first_mean_gradient on d below, [batch, heads, query_length]; made by
//                       attention-query-gradient.wgsl
//   key_value_gradient  as key_value; the other columns are left as they are
//
// With weights w = m · p, p the softmax of the scores s and m what dropout multiplies by (0 or 1 / (1 − rate)),
// and d_q = Σ_k w · (∂output_q · value_k) = ∂output_q · output_q:
//
//   ∂s = p · (m · (∂output_q · value_k) − d_q)      ∂key_k = Σ_q ∂s · query_q      ∂value_k = Σ_q w · ∂output_q
//
// Probabilities are computed anew from the statistics of the forward pass. A workgroup of 8×8 invocations owns 32
// keys of one head and goes over the queries 32 at a time. Operands pass through workgroup memory in chunks of 32
// features; an invocation (y, g) computes a 4×4 matrix of every product: pairs of keys y + 8·r and queries g + 8·c,
// features 4·g … 4·g + 3 of keys y + 8·r. The order of all sums is fixed.

// Chunks of 32 features of a head; replaced when the shader is specialised, so that arrays over them stay in
// registers.
const CHUNKS = 2u;

// Replaced too. Bucket n of one direction begins at distance FIRST_DISTANCES[n], which is n up to EXACT_DISTANCES;
// the host works that out because the logarithm in it rounds differently between adapters.
const FIRST_DISTANCES = array<u32, 2>(0u, 1u);
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
  // Where d begins in pair_sums.
  first_mean_gradient: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key_value: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> context: array<u32>;
@group(0) @binding(6) var<storage, read> pair_sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> key_value_gradient: array<f32>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;
// Whether heads begin at a vector and fill their last.
override whole_vectors: bool = false;

// A tile: rows of the eight vectors of a chunk, and one more, so that a column's rows lie in different banks. An
// array of arrays, because WebGPU clamps every index that is not a constant: that of a row is then clamped once for all
// its vectors.
alias Tile = array<array<vec4f, 9>, 32>;

var<workgroup> left: Tile;
var<workgroup> right: Tile;
// Weights of the pairs: vector g of row holds columns g, g + 8, g + 16 and g + 24.
var<workgroup> weights: Tile;

// Biases of a pair of tiles: element i is that of key − query = first_key − first_query + i − 31.
var<workgroup> position_biases: array<f32, 64>;

const QUERY = 0u;
const KEY = 1u;
const VALUE = 2u;
const OUTPUT_GRADIENT = 3u;

fn vector_at(operand: u32, i: u32) -> vec4f {
  switch operand {
    case QUERY: { return query[i]; }
    case KEY, VALUE: { return key_value[i]; }
    default: { return output_gradient[i]; }
  }
}

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`; zeros beyond the head.
fn features(operand: u32, offset: u32, vector: u32) -> vec4f {
  if (whole_vectors) {
    let last = params.head_size / 4u - 1u;
    return select(vec4f(), vector_at(operand, offset / 4u + min(vector, last)), vector <= last);
  }
  let feature = 4u * vector + vec4u(0, 1, 2, 3);
  let i = offset + min(feature, vec4u(params.head_size - 1u));
  let x = vec4f(
    vector_at(operand, i.x / 4u)[i.x % 4u], vector_at(operand, i.y / 4u)[i.y % 4u],
    vector_at(operand, i.z / 4u)[i.z % 4u], vector_at(operand, i.w / 4u)[i.w % 4u]
  );
  return select(vec4f(), x, feature < vec4u(params.head_size));
}

// Where the head begins in rows y, y + 8, y + 16 and y + 24 of a tile of an operand; rows beyond the last are it again.
fn heads_of(operand: u32, batch: u32, head: u32, first_row: u32, y: u32) -> vec4u {
  let of_keys = operand == KEY || operand == VALUE;
  let length = select(params.query_length, params.key_length, of_keys);
  let inner = params.heads * params.head_size;
  let stride = select(select(inner, params.query_stride, operand == QUERY), params.key_stride, of_keys);
  let column = select(0u, params.key_offset, of_keys) + select(0u, inner, operand == VALUE);
  let rows = min(first_row + y + vec4u(0, 8, 16, 24), vec4u(length - 1u));
  return (batch * length + rows) * stride + column + head * params.head_size;
}

// A chunk of a head's rows y, y + 8, y + 16 and y + 24 into a tile.
fn load_left(operand: u32, heads: vec4u, chunk: u32, y: u32, g: u32) {
  for (var r = 0u; r < 4u; r++) { left[y + 8u * r][g] = features(operand, heads[r], 8u * chunk + g); }
}

fn load_right(operand: u32, heads: vec4u, chunk: u32, y: u32, g: u32) {
  for (var r = 0u; r < 4u; r++) { right[y + 8u * r][g] = features(operand, heads[r], 8u * chunk + g); }
}

// sum + m · x, one feature or pair after the other: a chain of fused multiply-adds.
fn plus_product(sum: vec4f, m: mat4x4f, x: vec4f) -> vec4f {
  return fma(m[3], x.wwww, fma(m[2], x.zzzz, fma(m[1], x.yyyy, fma(m[0], x.xxxx, sum))));
}

// The sums, and m · each column of x.
fn plus_products(sums: mat4x4f, m: mat4x4f, x: mat4x4f) -> mat4x4f {
  return mat4x4f(
    plus_product(sums[0], m, x[0]), plus_product(sums[1], m, x[1]),
    plus_product(sums[2], m, x[2]), plus_product(sums[3], m, x[3])
  );
}

// The sums, and products of this invocation's four rows of `left` and four rows of `right` over one chunk.
fn plus_tile_product(sums: mat4x4f, y: u32, g: u32) -> mat4x4f {
  var products = sums;
  for (var v = 0u; v < 8u; v++) {
    let rows = mat4x4f(left[y][v], left[y + 8u][v], left[y + 16u][v], left[y + 24u][v]);
    let columns = mat4x4f(right[g][v], right[g + 8u][v], right[g + 16u][v], right[g + 24u][v]);
    products = plus_products(products, transpose(columns), rows);
  }
  return products;
}

// The sums, and rows of `right` by the weights of this invocation's four rows: features 4·g … 4·g + 3 of the chunk.
fn plus_weighted_sum(sums: mat4x4f, y: u32, g: u32) -> mat4x4f {
  var result = sums;
  for (var j = 0u; j < 8u; j++) {
    let values = mat4x4f(right[j][g], right[j + 8u][g], right[j + 16u][g], right[j + 24u][g]);
    let factors = mat4x4f(weights[y][j], weights[y + 8u][j], weights[y + 16u][j], weights[y + 24u][j]);
    result = plus_products(result, values, factors);
  }
  return result;
}

fn set_weights(y: u32, g: u32, values: mat4x4f) {
  for (var r = 0u; r < 4u; r++) { weights[y + 8u * r][g] = values[r]; }
}

// Which of four elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(element: vec4u) -> vec4f {
  var x = element * 1664525u + 1013904223u;
  let words = 2u * params.batch * params.heads * params.query_length;
  var y = vec4u(context[words] * 1664525u + 1013904223u);
  var z = vec4u(context[words + 1u] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  let scale = vec4f(1.0 / (1.0 - params.dropout_rate));
  return select(vec4f(), scale, uniform_numbers >= vec4f(params.dropout_rate));
}

// The row of the table for a position relative to the query.
fn bucket(position: i32) -> u32 {
  let distance = u32(max(-position, select(0, position, BIDIRECTIONAL)));
  var result = min(distance, EXACT_DISTANCES);
  for (var n = EXACT_DISTANCES + 1u; n < DIRECTION_BUCKETS; n++) {
    result += select(0u, 1u, distance >= FIRST_DISTANCES[n]);
  }
  return result + select(0u, DIRECTION_BUCKETS, BIDIRECTIONAL && position > 0);
}

// Biases of the distances in a pair of tiles.
fn load_positions(head: u32, first_query: u32, first_key: u32, lane: u32) {
  let row = bucket(i32(first_key) - i32(first_query) + i32(lane) - 31);
  position_biases[lane] = table[row * params.heads + head];
}

// What is added to the scores of query `query_row` of a tile, q in all, to its keys key_row, key_row + 8,
// key_row + 16 and key_row + 24, k in all, of which `masked` are.
fn shift(query_row: u32, key_row: u32, q: u32, k: vec4u, masked: vec4<bool>) -> vec4f {
  var sum = vec4f();
  if (has_table) {
    let i = 31u - query_row + key_row;
    sum = vec4f(position_biases[i], position_biases[i + 8u], position_biases[i + 16u], position_biases[i + 24u]);
  }
  let after = k > vec4u(q);
  return sum + select(vec4f(), vec4f(params.mask_value), masked | (after & vec4<bool>(causal)));
}

fn masked_keys(batch: u32, k: vec4u) -> vec4<bool> {
  if (!has_key_mask) { return vec4<bool>(); }
  let masks = 2u + 2u * params.batch * params.heads * params.query_length;
  let i = masks + batch * params.key_length + k;
  return vec4u(context[i.x], context[i.y], context[i.z], context[i.w]) == vec4u();
}

// w and ∂s of four queries and four keys, [query][key], from their scores and from ∂output · value.
struct Pairs {
  weights: mat4x4f,
  score_gradients: mat4x4f,
}

fn pairs(
  batch: u32, head: u32, query_row: u32, key_row: u32, q: vec4u, k: vec4u,
  scores: mat4x4f, weight_gradients: mat4x4f,
) -> Pairs {
  let masked = masked_keys(batch, k);
  var result: Pairs;
  for (var r = 0u; r < 4u; r++) {
    let row = (batch * params.heads + head) * params.query_length + q[r];
    let maximum = bitcast<f32>(context[2u * row]);
    let normaliser = bitcast<f32>(context[2u * row + 1u]);
    let mean_gradient = pair_sums[params.first_mean_gradient + row];
    let score = scores[r] + shift(query_row + 8u * r, key_row, q[r], k, masked);
    let probability = exp(score - maximum) * normaliser;
    var keep = vec4f(1.0);
    if (has_dropout) { keep = kept(row * params.key_length + k); }
    result.weights[r] = keep * probability;
    result.score_gradients[r] = probability * (keep * weight_gradients[r] - mean_gradient);
  }
  return result;
}

@compute @workgroup_size(64)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = lane % 8u;
  let y = lane / 8u;
  let first_key = 32u * group.x;
  let head = group.y;
  let batch = group.z;
  let owned = first_key + y + vec4u(0, 8, 16, 24);
  let k = min(owned, vec4u(params.key_length - 1u));

  let keys = heads_of(KEY, batch, head, first_key, y);
  let values = heads_of(VALUE, batch, head, first_key, y);

  var key_sums: array<mat4x4f, CHUNKS>;
  var value_sums: array<mat4x4f, CHUNKS>;
  for (var first_query = 0u; first_query < params.query_length; first_query += 32u) {
    let columns = first_query + g + vec4u(0, 8, 16, 24);
    let q = min(columns, vec4u(params.query_length - 1u));
    if (has_table) { load_positions(head, first_query, first_key, lane); }
    let queries = heads_of(QUERY, batch, head, first_query, y);
    let output_gradients = heads_of(OUTPUT_GRADIENT, batch, head, first_query, y);
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_left(KEY, keys, chunk, y, g);
      load_right(QUERY, queries, chunk, y, g);
      workgroupBarrier();
      scores = plus_tile_product(scores, y, g);
      workgroupBarrier();
      load_left(VALUE, values, chunk, y, g);
      load_right(OUTPUT_GRADIENT, output_gradients, chunk, y, g);
      workgroupBarrier();
      weight_gradients = plus_tile_product(weight_gradients, y, g);
      workgroupBarrier();
    }
    // Products come as [key][query].
    var pair = pairs(batch, head, g, y, q, k, transpose(scores), transpose(weight_gradients));
    for (var c = 0u; c < 4u; c++) {
      let exists = columns[c] < params.query_length;
      pair.weights[c] = select(vec4f(), pair.weights[c], exists);
      pair.score_gradients[c] = select(vec4f(), pair.score_gradients[c], exists);
    }
    set_weights(y, g, transpose(pair.weights));
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_right(OUTPUT_GRADIENT, output_gradients, chunk, y, g);
      workgroupBarrier();
      value_sums[chunk] = plus_weighted_sum(value_sums[chunk], y, g);
      workgroupBarrier();
    }
    set_weights(y, g, transpose(pair.score_gradients));
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_right(QUERY, queries, chunk, y, g);
      workgroupBarrier();
      key_sums[chunk] = plus_weighted_sum(key_sums[chunk], y, g);
      workgroupBarrier();
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (owned[r] >= params.key_length) { continue; }
    let row = (batch * params.key_length + owned[r]) * params.key_stride;
    let key = row + params.key_offset + head * params.head_size;
    let value = key + params.heads * params.head_size;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      for (var c = 0u; c < 4u; c++) {
        let i = 32u * chunk + 4u * g + c;
        if (i >= params.head_size) { continue; }
        key_value_gradient[key + i] = key_sums[chunk][r][c];
        key_value_gradient[value + i] = value_sums[chunk][r][c];
      }
    }
  }
}
