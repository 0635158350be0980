// Backward attention by tiles in workgroup memory, for GPUs: the counterpart of attention-tiled.wgsl.
//
//   query, output_gradient  [batch, query_length, heads · head_size]
//   key, value              [batch, key_length, heads · head_size]
//   bias                    [heads, query_length, key_length]   read only if has_bias
//   context                 words; made by attention-context.wgsl, which see
//   query_gradient          as query
//   key_gradient            as key
//   value_gradient          as value
//   bias_gradient           as bias, summed over the batch
//
// With weights w = m · p, p the softmax of the scores s and m what dropout multiplies by (0 or 1 / (1 − rate)),
// and d_q = Σ_k w · (∂output_q · value_k) = ∂output_q · output_q:
//
//   ∂value_k = Σ_q w · ∂output_q         ∂s = p · (m · (∂output_q · value_k) − d_q)
//   ∂query_q = Σ_k ∂s · key_k            ∂key_k = Σ_q ∂s · query_q            ∂bias = Σ_batch ∂s
//
// Probabilities are computed anew from the statistics of the forward pass. A workgroup of 8×8 invocations owns what
// it sums: 32 queries, 32 keys, or a 32×32 piece of the bias. Operands pass through workgroup memory in chunks of
// 32 features; an invocation (y, g) computes a 4×4 matrix of every product: pairs of owned rows y + 8·r and visited
// rows g + 8·c, features 4·g … 4·g + 3 of owned rows y + 8·r. The order of all sums is fixed.

// Chunks of 32 features of a head; replaced when the shader is specialised, so that arrays over them stay in
// registers.
const CHUNKS = 2u;

struct Params {
  batch: u32,
  heads: u32,
  query_length: u32,
  key_length: u32,
  head_size: u32,
  mask_value: f32,
  dropout_rate: f32,
  dropout_site: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(6) var<storage, read> context: array<u32>;
@group(0) @binding(7) var<storage, read_write> query_gradient: array<f32>;
@group(0) @binding(8) var<storage, read_write> key_gradient: array<f32>;
@group(0) @binding(9) var<storage, read_write> value_gradient: array<f32>;
@group(0) @binding(10) var<storage, read_write> bias_gradient: array<f32>;

override has_bias: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

// Vectors from one row of a tile to the next: one more than the eight that hold a chunk, so that a column's rows
// lie in different banks.
const STRIDE = 9u;

var<workgroup> left: array<vec4f, 288>;
var<workgroup> right: array<vec4f, 288>;
// Weights of the pairs: vector g of row holds columns g, g + 8, g + 16 and g + 24.
var<workgroup> weights: array<vec4f, 288>;

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`; zeros beyond the head.
fn query_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  let x = vec4f(query[j.x], query[j.y], query[j.z], query[j.w]);
  return select(vec4f(), x, i < vec4u(params.head_size));
}

fn key_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  let x = vec4f(key[j.x], key[j.y], key[j.z], key[j.w]);
  return select(vec4f(), x, i < vec4u(params.head_size));
}

fn value_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  let x = vec4f(value[j.x], value[j.y], value[j.z], value[j.w]);
  return select(vec4f(), x, i < vec4u(params.head_size));
}

fn gradient_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  let x = vec4f(output_gradient[j.x], output_gradient[j.y], output_gradient[j.z], output_gradient[j.w]);
  return select(vec4f(), x, i < vec4u(params.head_size));
}

// A chunk of 32 rows of one head into a tile. Rows beyond the last one are copies of it.
fn load_queries_left(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.query_length - 1u);
    let offset = ((batch * params.query_length + row) * params.heads + head) * params.head_size;
    left[i / 8u * STRIDE + i % 8u] = query_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_gradients_left(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.query_length - 1u);
    let offset = ((batch * params.query_length + row) * params.heads + head) * params.head_size;
    left[i / 8u * STRIDE + i % 8u] = gradient_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_keys_left(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.key_length - 1u);
    let offset = ((batch * params.key_length + row) * params.heads + head) * params.head_size;
    left[i / 8u * STRIDE + i % 8u] = key_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_values_left(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.key_length - 1u);
    let offset = ((batch * params.key_length + row) * params.heads + head) * params.head_size;
    left[i / 8u * STRIDE + i % 8u] = value_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_queries_right(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.query_length - 1u);
    let offset = ((batch * params.query_length + row) * params.heads + head) * params.head_size;
    right[i / 8u * STRIDE + i % 8u] = query_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_gradients_right(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.query_length - 1u);
    let offset = ((batch * params.query_length + row) * params.heads + head) * params.head_size;
    right[i / 8u * STRIDE + i % 8u] = gradient_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_keys_right(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.key_length - 1u);
    let offset = ((batch * params.key_length + row) * params.heads + head) * params.head_size;
    right[i / 8u * STRIDE + i % 8u] = key_vector(offset, 8u * chunk + i % 8u);
  }
}

fn load_values_right(batch: u32, head: u32, first_row: u32, chunk: u32, lane: u32) {
  for (var i = lane; i < 256u; i += 64u) {
    let row = min(first_row + i / 8u, params.key_length - 1u);
    let offset = ((batch * params.key_length + row) * params.heads + head) * params.head_size;
    right[i / 8u * STRIDE + i % 8u] = value_vector(offset, 8u * chunk + i % 8u);
  }
}

// Products of this invocation's four rows of `left` and four rows of `right`, over one chunk.
fn tile_product(y: u32, g: u32) -> mat4x4f {
  var products = mat4x4f();
  for (var v = 0u; v < 8u; v++) {
    let rows = mat4x4f(
      left[y * STRIDE + v], left[(y + 8u) * STRIDE + v],
      left[(y + 16u) * STRIDE + v], left[(y + 24u) * STRIDE + v]
    );
    let columns = mat4x4f(
      right[g * STRIDE + v], right[(g + 8u) * STRIDE + v],
      right[(g + 16u) * STRIDE + v], right[(g + 24u) * STRIDE + v]
    );
    products += transpose(columns) * rows;
  }
  return products;
}

// Rows of `right` summed by the weights of this invocation's four rows: features 4·g … 4·g + 3 of the chunk.
fn weighted_sum(y: u32, g: u32) -> mat4x4f {
  var sum = mat4x4f();
  for (var j = 0u; j < 8u; j++) {
    let values = mat4x4f(
      right[j * STRIDE + g], right[(j + 8u) * STRIDE + g],
      right[(j + 16u) * STRIDE + g], right[(j + 24u) * STRIDE + g]
    );
    let factors = mat4x4f(
      weights[y * STRIDE + j], weights[(y + 8u) * STRIDE + j],
      weights[(y + 16u) * STRIDE + j], weights[(y + 24u) * STRIDE + j]
    );
    sum += values * factors;
  }
  return sum;
}

fn set_weights(y: u32, g: u32, values: mat4x4f) {
  for (var r = 0u; r < 4u; r++) { weights[(y + 8u * r) * STRIDE + g] = values[r]; }
}

// Which of four elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(element: vec4u) -> vec4f {
  var x = element * 1664525u + 1013904223u;
  var y = vec4u((context[0]) * 1664525u + 1013904223u);
  var z = vec4u(context[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  let scale = vec4f(1.0 / (1.0 - params.dropout_rate));
  return select(vec4f(), scale, uniform_numbers >= vec4f(params.dropout_rate));
}

// What attention-context.wgsl keeps of four query rows.
struct Rows {
  maximum: vec4f,
  normaliser: vec4f,
  mean_gradient: vec4f,
}

fn row_context(rows: vec4u) -> Rows {
  let i = 2u + 3u * rows;
  return Rows(
    bitcast<vec4f>(vec4u(context[i.x], context[i.y], context[i.z], context[i.w])),
    bitcast<vec4f>(vec4u(context[i.x + 1u], context[i.y + 1u], context[i.z + 1u], context[i.w + 1u])),
    bitcast<vec4f>(vec4u(context[i.x + 2u], context[i.y + 2u], context[i.z + 2u], context[i.w + 2u]))
  );
}

fn row_indices(batch: u32, head: u32, q: vec4u) -> vec4u {
  return (batch * params.heads + head) * params.query_length + q;
}

// What is added to the scores of a query, to four keys of which `masked` are.
fn shift(head: u32, q: u32, k: vec4u, masked: vec4<bool>) -> vec4f {
  var sum = vec4f();
  if (has_bias) {
    let i = (head * params.query_length + q) * params.key_length + k;
    sum = vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
  }
  let after = k > vec4u(q);
  return sum + select(vec4f(), vec4f(params.mask_value), masked | (after & vec4<bool>(causal)));
}

fn masked_keys(batch: u32, k: vec4u) -> vec4<bool> {
  if (!has_key_mask) { return vec4<bool>(); }
  let masks = 2u + 3u * params.batch * params.heads * params.query_length;
  let i = masks + batch * params.key_length + k;
  return vec4u(context[i.x], context[i.y], context[i.z], context[i.w]) == vec4u();
}

// w and ∂s of four queries and four keys, [query][key], from their scores and from ∂output · value.
struct Pairs {
  weights: mat4x4f,
  score_gradients: mat4x4f,
}

fn pairs(
  batch: u32, head: u32, q: vec4u, k: vec4u, scores: mat4x4f, weight_gradients: mat4x4f,
) -> Pairs {
  let rows = row_indices(batch, head, q);
  let row = row_context(rows);
  let masked = masked_keys(batch, k);
  var result: Pairs;
  for (var r = 0u; r < 4u; r++) {
    let score = scores[r] + shift(head, q[r], k, masked);
    let probability = exp(score - row.maximum[r]) * row.normaliser[r];
    var keep = vec4f(1.0);
    if (has_dropout) { keep = kept(rows[r] * params.key_length + k); }
    result.weights[r] = keep * probability;
    result.score_gradients[r] = probability * (keep * weight_gradients[r] - row.mean_gradient[r]);
  }
  return result;
}

@compute @workgroup_size(64)
fn backward_query(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = lane % 8u;
  let y = lane / 8u;
  let first_query = 32u * group.x;
  let head = group.y;
  let batch = group.z;
  let owned = first_query + y + vec4u(0, 8, 16, 24);
  let q = min(owned, vec4u(params.query_length - 1u));

  var sums: array<mat4x4f, CHUNKS>;
  for (var first_key = 0u; first_key < params.key_length; first_key += 32u) {
    let columns = first_key + g + vec4u(0, 8, 16, 24);
    let exists = columns < vec4u(params.key_length);
    let k = min(columns, vec4u(params.key_length - 1u));
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_queries_left(batch, head, first_query, chunk, lane);
      load_keys_right(batch, head, first_key, chunk, lane);
      workgroupBarrier();
      scores += tile_product(y, g);
      workgroupBarrier();
      load_gradients_left(batch, head, first_query, chunk, lane);
      load_values_right(batch, head, first_key, chunk, lane);
      workgroupBarrier();
      weight_gradients += tile_product(y, g);
      workgroupBarrier();
    }
    var gradients = pairs(batch, head, q, k, scores, weight_gradients).score_gradients;
    for (var r = 0u; r < 4u; r++) { gradients[r] = select(vec4f(), gradients[r], exists); }
    set_weights(y, g, gradients);
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_keys_right(batch, head, first_key, chunk, lane);
      workgroupBarrier();
      sums[chunk] += weighted_sum(y, g);
      workgroupBarrier();
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (owned[r] >= params.query_length) { continue; }
    let offset = ((batch * params.query_length + owned[r]) * params.heads + head) * params.head_size;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      for (var c = 0u; c < 4u; c++) {
        let i = 32u * chunk + 4u * g + c;
        if (i >= params.head_size) { continue; }
        query_gradient[offset + i] = sums[chunk][r][c];
      }
    }
  }
}

@compute @workgroup_size(64)
fn backward_key_value(
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

  var key_sums: array<mat4x4f, CHUNKS>;
  var value_sums: array<mat4x4f, CHUNKS>;
  for (var first_query = 0u; first_query < params.query_length; first_query += 32u) {
    let columns = first_query + g + vec4u(0, 8, 16, 24);
    let q = min(columns, vec4u(params.query_length - 1u));
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_keys_left(batch, head, first_key, chunk, lane);
      load_queries_right(batch, head, first_query, chunk, lane);
      workgroupBarrier();
      scores += tile_product(y, g);
      workgroupBarrier();
      load_values_left(batch, head, first_key, chunk, lane);
      load_gradients_right(batch, head, first_query, chunk, lane);
      workgroupBarrier();
      weight_gradients += tile_product(y, g);
      workgroupBarrier();
    }
    // Products come as [key][query].
    var pair = pairs(batch, head, q, k, transpose(scores), transpose(weight_gradients));
    for (var c = 0u; c < 4u; c++) {
      let exists = columns[c] < params.query_length;
      pair.weights[c] = select(vec4f(), pair.weights[c], exists);
      pair.score_gradients[c] = select(vec4f(), pair.score_gradients[c], exists);
    }
    set_weights(y, g, transpose(pair.weights));
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_gradients_right(batch, head, first_query, chunk, lane);
      workgroupBarrier();
      value_sums[chunk] += weighted_sum(y, g);
      workgroupBarrier();
    }
    set_weights(y, g, transpose(pair.score_gradients));
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_queries_right(batch, head, first_query, chunk, lane);
      workgroupBarrier();
      key_sums[chunk] += weighted_sum(y, g);
      workgroupBarrier();
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (owned[r] >= params.key_length) { continue; }
    let offset = ((batch * params.key_length + owned[r]) * params.heads + head) * params.head_size;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      for (var c = 0u; c < 4u; c++) {
        let i = 32u * chunk + 4u * g + c;
        if (i >= params.head_size) { continue; }
        key_gradient[offset + i] = key_sums[chunk][r][c];
        value_gradient[offset + i] = value_sums[chunk][r][c];
      }
    }
  }
}

@compute @workgroup_size(64)
fn backward_bias(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = lane % 8u;
  let y = lane / 8u;
  let first_key = 32u * group.x;
  let first_query = 32u * group.y;
  let head = group.z;
  let queries = first_query + y + vec4u(0, 8, 16, 24);
  let keys = first_key + g + vec4u(0, 8, 16, 24);
  let q = min(queries, vec4u(params.query_length - 1u));
  let k = min(keys, vec4u(params.key_length - 1u));

  var sums = mat4x4f();
  for (var batch = 0u; batch < params.batch; batch++) {
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      load_queries_left(batch, head, first_query, chunk, lane);
      load_keys_right(batch, head, first_key, chunk, lane);
      workgroupBarrier();
      scores += tile_product(y, g);
      workgroupBarrier();
      load_gradients_left(batch, head, first_query, chunk, lane);
      load_values_right(batch, head, first_key, chunk, lane);
      workgroupBarrier();
      weight_gradients += tile_product(y, g);
      workgroupBarrier();
    }
    sums += pairs(batch, head, q, k, scores, weight_gradients).score_gradients;
  }

  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      if (queries[r] >= params.query_length || keys[c] >= params.key_length) { continue; }
      bias_gradient[(head * params.query_length + q[r]) * params.key_length + k[c]] = sums[r][c];
    }
  }
}
