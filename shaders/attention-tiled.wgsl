// Attention by tiles in workgroup memory, for GPUs: output = dropout(softmax(q·kᵀ + shift)) · v, per head.
//
//   query       [batch, query_length, query_stride], of which the first heads · head_size columns are the queries
//   key_value   [batch, key_length, key_stride], of which so many columns from key_offset on are the keys, and the
//               next as many the values; in self-attention the same buffer as query
//   table       [buckets, heads], position bias       read only if has_table
//   key_mask    [batch, key_length], 0 where masked   read only if has_key_mask
//   seed        [2]                                   read only if has_dropout
//   output      [batch, query_length, heads · head_size]
//   context     what the backward pass needs besides, in one buffer of words, because a stage may bind only eight:
//               the statistics [batch, heads, query_length, 2]: maximum of the scores, 1 / Σ exp(score − maximum),
//                 as bits of f32
//               the two words by which dropout's hash is keyed  written only if has_dropout
//               then key_mask                                   written only if has_key_mask
//
// shift = table[bucket(key − query), head] + mask_value where masked: the mask is added, not put in place of the
// score, so a row whose keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart
// because their combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// A workgroup of 8×8 invocations owns 32 query rows of one head and goes over the keys 32 at a time with an online
// softmax. Operands pass through workgroup memory in chunks of 32 features, so that any head size fits; an
// invocation (y, g) computes a 4×4 matrix of every product: scores of rows y + 8·r and keys g + 8·c, features
// 4·g … 4·g + 3 of rows y + 8·r. The order of all sums is fixed.
//
// Matrices hold one query row per column: scores[row][key], sums[chunk][row].

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key_value: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> key_mask: array<i32>;
@group(0) @binding(5) var<storage, read> seed: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;
@group(0) @binding(7) var<storage, read_write> context: array<u32>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;
// Whether heads begin at a vector and fill their last.
override whole_vectors: bool = false;

const LOWEST = -3.4028234e38;

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
// One vector over an invocation's four rows, per invocation.
var<workgroup> partial: array<vec4f, 64>;

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`; zeros beyond the head.
fn query_vector(offset: u32, vector: u32) -> vec4f {
  if (whole_vectors) {
    let last = params.head_size / 4u - 1u;
    return select(vec4f(), query[offset / 4u + min(vector, last)], vector <= last);
  }
  let feature = 4u * vector + vec4u(0, 1, 2, 3);
  let i = offset + min(feature, vec4u(params.head_size - 1u));
  let x = vec4f(
    query[i.x / 4u][i.x % 4u], query[i.y / 4u][i.y % 4u], query[i.z / 4u][i.z % 4u], query[i.w / 4u][i.w % 4u]
  );
  return select(vec4f(), x, feature < vec4u(params.head_size));
}

fn key_value_vector(offset: u32, vector: u32) -> vec4f {
  if (whole_vectors) {
    let last = params.head_size / 4u - 1u;
    return select(vec4f(), key_value[offset / 4u + min(vector, last)], vector <= last);
  }
  let feature = 4u * vector + vec4u(0, 1, 2, 3);
  let i = offset + min(feature, vec4u(params.head_size - 1u));
  let x = vec4f(
    key_value[i.x / 4u][i.x % 4u], key_value[i.y / 4u][i.y % 4u], key_value[i.z / 4u][i.z % 4u], key_value[i.w / 4u][i.w % 4u]
  );
  return select(vec4f(), x, feature < vec4u(params.head_size));
}

// A chunk of a head's rows y, y + 8, y + 16 and y + 24 into a tile; the head begins in them at `heads`.
fn load_queries(heads: vec4u, chunk: u32, y: u32, g: u32) {
  for (var r = 0u; r < 4u; r++) { left[y + 8u * r][g] = query_vector(heads[r], 8u * chunk + g); }
}

fn load_right(heads: vec4u, chunk: u32, y: u32, g: u32) {
  for (var r = 0u; r < 4u; r++) { right[y + 8u * r][g] = key_value_vector(heads[r], 8u * chunk + g); }
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
  var y = vec4u((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = vec4u(seed[1] * 1664525u + 1013904223u);
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
  let i = batch * params.key_length + k;
  return vec4i(key_mask[i.x], key_mask[i.y], key_mask[i.z], key_mask[i.w]) == vec4i();
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = lane % 8u;
  let y = lane / 8u;
  let first_query = 32u * group.x;
  let head = group.y;
  let batch = group.z;
  let own_rows = first_query + y + vec4u(0, 8, 16, 24);
  let q = min(own_rows, vec4u(params.query_length - 1u));
  let rows = (batch * params.heads + head) * params.query_length + q;
  let own_heads = (batch * params.query_length + q) * params.query_stride + head * params.head_size;

  var sums: array<mat4x4f, CHUNKS>;
  var maximum = vec4f(LOWEST);
  // Of the keys that this invocation sees; summed over invocations at the end.
  var total = vec4f();
  for (var first_key = 0u; first_key < params.key_length; first_key += 32u) {
    let columns = first_key + g + vec4u(0, 8, 16, 24);
    let exists = columns < vec4u(params.key_length);
    let k = min(columns, vec4u(params.key_length - 1u));
    if (has_table) { load_positions(head, first_query, first_key, lane); }

    // Rows beyond the last are copies of it.
    let right_rows = min(first_key + y + vec4u(0, 8, 16, 24), vec4u(params.key_length - 1u));
    let key_column = params.key_offset + head * params.head_size;
    let keys = (batch * params.key_length + right_rows) * params.key_stride + key_column;
    let values = keys + params.heads * params.head_size;
    var scores = mat4x4f();
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_queries(own_heads, chunk, y, g);
      load_right(keys, chunk, y, g);
      workgroupBarrier();
      scores = plus_tile_product(scores, y, g);
      workgroupBarrier();
    }

    let masked = masked_keys(batch, k);
    var highest = maximum;
    for (var r = 0u; r < 4u; r++) {
      let row = select(vec4f(LOWEST), scores[r] + shift(y + 8u * r, g, q[r], k, masked), exists);
      scores[r] = row;
      highest[r] = max(highest[r], max(max(row.x, row.y), max(row.z, row.w)));
    }
    partial[lane] = highest;
    workgroupBarrier();
    for (var j = 0u; j < 8u; j++) { highest = max(highest, partial[8u * y + j]); }
    let rescale = exp(maximum - highest);
    maximum = highest;
    total *= rescale;
    for (var r = 0u; r < 4u; r++) {
      let row = select(vec4f(), exp(scores[r] - highest[r]), exists);
      total[r] += (row.x + row.y) + (row.z + row.w);
      scores[r] = row;
      if (has_dropout) { scores[r] *= kept(rows[r] * params.key_length + k); }
    }
    set_weights(y, g, scores);

    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_right(values, chunk, y, g);
      workgroupBarrier();
      let old = sums[chunk];
      sums[chunk] = plus_weighted_sum(mat4x4f(
        old[0] * rescale.x, old[1] * rescale.y, old[2] * rescale.z, old[3] * rescale.w
      ), y, g);
      workgroupBarrier();
    }
  }

  partial[lane] = total;
  workgroupBarrier();
  total = vec4f();
  for (var j = 0u; j < 8u; j++) { total += partial[8u * y + j]; }
  let normaliser = 1.0 / total;
  for (var r = 0u; r < 4u; r++) {
    if (own_rows[r] >= params.query_length) { continue; }
    if (g == 0u) {
      context[2u * rows[r]] = bitcast<u32>(maximum[r]);
      context[2u * rows[r] + 1u] = bitcast<u32>(normaliser[r]);
    }
    let offset = ((batch * params.query_length + q[r]) * params.heads + head) * params.head_size;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let x = sums[chunk][r] * normaliser[r];
      for (var c = 0u; c < 4u; c++) {
        let i = 32u * chunk + 4u * g + c;
        if (i < params.head_size) { output[offset + i] = x[c]; }
      }
    }
  }

  // An element's mask is copied by the first workgroup of its first head, dropout's words by the first of all.
  if (group.x != 0u || head != 0u) { return; }
  let words = 2u * params.batch * params.heads * params.query_length;
  if (has_dropout && batch == 0u && lane == 0u) {
    context[words] = params.dropout_site ^ seed[0];
    context[words + 1u] = seed[1];
  }
  if (has_key_mask) {
    let first = batch * params.key_length;
    for (var k = first + lane; k < first + params.key_length; k += 64u) {
      context[words + 2u + k] = u32(key_mask[k]);
    }
  }
}
