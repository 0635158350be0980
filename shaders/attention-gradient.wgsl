// Backward attention by register blocking, for CPU adapters: the counterpart of attention.wgsl.
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
// Probabilities are computed anew from the statistics of the forward pass. Every invocation owns what it sums
// (a block of features of four queries or of four keys, or a 4×4 piece of the bias) and adds in order, so the
// same operands give the same bits; nothing is shared between invocations.
//
// Matrices over pairs hold one query per column, scores[query][key]; sums[vector][row] four features of a row.

// A block is 4 · BLOCK_VECTORS features of a head; replaced when the shader is specialised, so that arrays over
// it stay in registers. Larger blocks mean fewer scores computed twice, but code that drivers compile slowly.
const BLOCK_VECTORS = 8u;

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
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read> context: array<u32>;
@group(0) @binding(7) var<storage, read_write> query_gradient: array<f32>;
@group(0) @binding(8) var<storage, read_write> key_gradient: array<f32>;
@group(0) @binding(9) var<storage, read_write> value_gradient: array<f32>;
@group(0) @binding(10) var<storage, read_write> bias_gradient: array<f32>;

override has_bias: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

// Which four rows of which head an invocation owns, and which block of their features.
struct Owner {
  batch: u32,
  head: u32,
  first_row: u32,
  first_vector: u32,
}

fn owner(index: u32, length: u32) -> Owner {
  let tiles = (length + 3u) / 4u;
  let blocks = (params.head_size + 4u * BLOCK_VECTORS - 1u) / (4u * BLOCK_VECTORS);
  let slice = index / tiles;
  return Owner(
    slice / blocks / params.heads,
    slice / blocks % params.heads,
    index % tiles * 4u,
    slice % blocks * BLOCK_VECTORS
  );
}

// Where the head begins in four rows of query, and of key or value.
fn query_offsets(batch: u32, head: u32, q: vec4u) -> vec4u {
  return ((batch * params.query_length + q) * params.heads + head) * params.head_size;
}

fn key_offsets(batch: u32, head: u32, k: vec4u) -> vec4u {
  return ((batch * params.key_length + k) * params.heads + head) * params.head_size;
}

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`. Where the head size is no multiple of four,
// the specialised shader reads f32s instead. What a block reads beyond the head is never stored.
fn query_vector(offset: u32, vector: u32) -> vec4f { return query[offset / 4u + vector]; }

fn key_vector(offset: u32, vector: u32) -> vec4f { return key[offset / 4u + vector]; }

fn value_vector(offset: u32, vector: u32) -> vec4f { return value[offset / 4u + vector]; }

fn gradient_vector(offset: u32, vector: u32) -> vec4f { return output_gradient[offset / 4u + vector]; }

// The same features of four rows, one per column.
fn query_vectors(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    query_vector(offsets.x, vector), query_vector(offsets.y, vector),
    query_vector(offsets.z, vector), query_vector(offsets.w, vector)
  );
}

fn key_vectors(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    key_vector(offsets.x, vector), key_vector(offsets.y, vector),
    key_vector(offsets.z, vector), key_vector(offsets.w, vector)
  );
}

fn value_vectors(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    value_vector(offsets.x, vector), value_vector(offsets.y, vector),
    value_vector(offsets.z, vector), value_vector(offsets.w, vector)
  );
}

fn gradient_vectors(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    gradient_vector(offsets.x, vector), gradient_vector(offsets.y, vector),
    gradient_vector(offsets.z, vector), gradient_vector(offsets.w, vector)
  );
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

// w and ∂s of four queries and four keys, [query][key].
struct Pairs {
  weights: mat4x4f,
  score_gradients: mat4x4f,
}

fn pairs(
  head: u32, q: vec4u, k: vec4u, rows: vec4u, row: Rows, masked: vec4<bool>,
  query_at: vec4u, key_at: vec4u,
) -> Pairs {
  var scores = mat4x4f();
  var weight_gradients = mat4x4f();
  let head_vectors = (params.head_size + 3u) / 4u;
  for (var v = 0u; v < head_vectors; v++) {
    scores += transpose(key_vectors(key_at, v)) * query_vectors(query_at, v);
    weight_gradients += transpose(value_vectors(key_at, v)) * gradient_vectors(query_at, v);
  }
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
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let owned = owner(id.y * workgroups.x * 64u + id.x, params.query_length);
  if (owned.batch >= params.batch) { return; }
  let q = min(owned.first_row + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
  let offsets = query_offsets(owned.batch, owned.head, q);
  let rows = row_indices(owned.batch, owned.head, q);
  let row = row_context(rows);

  var sums: array<mat4x4f, BLOCK_VECTORS>;
  for (var first_key = 0u; first_key < params.key_length; first_key += 4u) {
    let exists = first_key + vec4u(0, 1, 2, 3) < vec4u(params.key_length);
    let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
    let visited = key_offsets(owned.batch, owned.head, k);
    let masked = masked_keys(owned.batch, k);
    var gradients = pairs(owned.head, q, k, rows, row, masked, offsets, visited).score_gradients;
    for (var r = 0u; r < 4u; r++) { gradients[r] = select(vec4f(), gradients[r], exists); }
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      sums[v] += key_vectors(visited, owned.first_vector + v) * gradients;
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (owned.first_row + r >= params.query_length) { continue; }
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      for (var c = 0u; c < 4u; c++) {
        let i = 4u * (owned.first_vector + v) + c;
        if (i < params.head_size) { query_gradient[offsets[r] + i] = sums[v][r][c]; }
      }
    }
  }
}

@compute @workgroup_size(64)
fn backward_key_value(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let owned = owner(id.y * workgroups.x * 64u + id.x, params.key_length);
  if (owned.batch >= params.batch) { return; }
  let k = min(owned.first_row + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
  let offsets = key_offsets(owned.batch, owned.head, k);
  let masked = masked_keys(owned.batch, k);

  var key_sums: array<mat4x4f, BLOCK_VECTORS>;
  var value_sums: array<mat4x4f, BLOCK_VECTORS>;
  for (var first_query = 0u; first_query < params.query_length; first_query += 4u) {
    let q = min(first_query + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
    let visited = query_offsets(owned.batch, owned.head, q);
    let rows = row_indices(owned.batch, owned.head, q);
    var pair = pairs(owned.head, q, k, rows, row_context(rows), masked, visited, offsets);
    for (var r = 0u; r < 4u; r++) {
      let exists = first_query + r < params.query_length;
      pair.weights[r] = select(vec4f(), pair.weights[r], exists);
      pair.score_gradients[r] = select(vec4f(), pair.score_gradients[r], exists);
    }
    let weights = transpose(pair.weights);
    let score_gradients = transpose(pair.score_gradients);
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      key_sums[v] += query_vectors(visited, owned.first_vector + v) * score_gradients;
      value_sums[v] += gradient_vectors(visited, owned.first_vector + v) * weights;
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (owned.first_row + r >= params.key_length) { continue; }
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      for (var c = 0u; c < 4u; c++) {
        let i = 4u * (owned.first_vector + v) + c;
        if (i >= params.head_size) { continue; }
        key_gradient[offsets[r] + i] = key_sums[v][r][c];
        value_gradient[offsets[r] + i] = value_sums[v][r][c];
      }
    }
  }
}

@compute @workgroup_size(64)
fn backward_bias(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = id.y * workgroups.x * 64u + id.x;
  let tiles_across = (params.key_length + 3u) / 4u;
  let tiles_down = (params.query_length + 3u) / 4u;
  let first_key = tile % tiles_across * 4u;
  let first_query = tile / tiles_across % tiles_down * 4u;
  let head = tile / (tiles_across * tiles_down);
  if (head >= params.heads) { return; }
  let q = min(first_query + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
  let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));

  var sums = mat4x4f();
  for (var batch = 0u; batch < params.batch; batch++) {
    let rows = row_indices(batch, head, q);
    sums += pairs(
      head, q, k, rows, row_context(rows), masked_keys(batch, k),
      query_offsets(batch, head, q), key_offsets(batch, head, k)
    ).score_gradients;
  }

  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      if (first_query + r >= params.query_length || first_key + c >= params.key_length) { continue; }
      let i = (head * params.query_length + first_query + r) * params.key_length;
      bias_gradient[i + first_key + c] = sums[r][c];
    }
  }
}
