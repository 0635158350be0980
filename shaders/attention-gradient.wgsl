// Backward attention by register blocking, for CPU adapters: the counterpart of attention.wgsl.
//
//   query, output_gradient  [batch, query_length, heads · HEAD_SIZE]
//   key, value              [batch, key_length, heads · HEAD_SIZE]
//   bias                    [heads, query_length, key_length]   read only if has_bias
//   context                 words; made by attention-context.wgsl, which see
//   query_gradient          as query
//   key_gradient            as key
//   value_gradient          as value
//   bias_gradient           as bias, summed over the batch
//
// With weights w = m · p, p the softmax of the scores s and m what dropout multiplies by (0 or 1 / (1 − rate)),
// and d_q = Σ_k w · (∂output · value) = ∂output · output:
//
//   ∂value_k = Σ_q w · ∂output_q         ∂s = p · (m · (∂output_q · value_k) − d_q)
//   ∂query_q = Σ_k ∂s · key_k            ∂key_k = Σ_q ∂s · query_q            ∂bias = Σ_batch ∂s
//
// Probabilities are computed anew from the statistics of the forward pass. Every entry point's invocation owns
// what it sums (four queries, four keys, or a 4×4 piece of the bias) and adds in order, so the same operands
// give the same bits; nothing is shared between invocations.
//
// Matrices hold one owned row per column: scores[owned][visited].

// Features of a head; replaced when the shader is specialised, so that arrays over it stay in registers.
const HEAD_SIZE = 64u;
const HEAD_VECTORS = (HEAD_SIZE + 3u) / 4u;

struct Params {
  batch: u32,
  heads: u32,
  query_length: u32,
  key_length: u32,
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

// pcg3d (Jarzynski & Olano 2020): three well-mixed words.
fn pcg3d(word: vec3u) -> vec3u {
  var v = word * 1664525u + 1013904223u;
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  return v;
}

// Index of (batch, head, query) among the rows of all heads.
fn row_index(batch: u32, head: u32, q: u32) -> u32 {
  return (batch * params.heads + head) * params.query_length + q;
}

// What dropout multiplies a weight by.
fn kept(row: u32, k: u32) -> f32 {
  let word = pcg3d(vec3u(row * params.key_length + k, context[0], context[1])).x;
  let uniform_number = f32(word >> 8u) * (1.0 / 16777216.0);
  return select(0.0, 1.0 / (1.0 - params.dropout_rate), uniform_number >= params.dropout_rate);
}

// What is added to the score of a query and a key.
fn shift(batch: u32, head: u32, q: u32, k: u32) -> f32 {
  var sum = 0.0;
  var masked = causal && k > q;
  if (has_bias) { sum = bias[(head * params.query_length + q) * params.key_length + k]; }
  if (has_key_mask) {
    let masks = 2u + 3u * params.batch * params.heads * params.query_length;
    masked = masked || context[masks + batch * params.key_length + k] == 0u;
  }
  return sum + select(0.0, params.mask_value, masked);
}

// p and ∂s of one query and one key, from their score and from ∂output · value.
struct Pair {
  weight: f32,
  score_gradient: f32,
}

fn pair(batch: u32, head: u32, q: u32, k: u32, score: f32, weight_gradient: f32) -> Pair {
  let row = row_index(batch, head, q);
  let maximum = bitcast<f32>(context[2u + 3u * row]);
  let normaliser = bitcast<f32>(context[3u + 3u * row]);
  let mean_gradient = bitcast<f32>(context[4u + 3u * row]);
  let probability = exp(score + shift(batch, head, q, k) - maximum) * normaliser;
  var keep = 1.0;
  if (has_dropout) { keep = kept(row, k); }
  return Pair(keep * probability, probability * (keep * weight_gradient - mean_gradient));
}

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`; zeros beyond the head.
fn query_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector;
  var x = vec4f(query[offset + i], 0.0, 0.0, 0.0);
  if (i + 1u < HEAD_SIZE) { x.y = query[offset + i + 1u]; }
  if (i + 2u < HEAD_SIZE) { x.z = query[offset + i + 2u]; }
  if (i + 3u < HEAD_SIZE) { x.w = query[offset + i + 3u]; }
  return x;
}

fn key_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector;
  var x = vec4f(key[offset + i], 0.0, 0.0, 0.0);
  if (i + 1u < HEAD_SIZE) { x.y = key[offset + i + 1u]; }
  if (i + 2u < HEAD_SIZE) { x.z = key[offset + i + 2u]; }
  if (i + 3u < HEAD_SIZE) { x.w = key[offset + i + 3u]; }
  return x;
}

fn value_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector;
  var x = vec4f(value[offset + i], 0.0, 0.0, 0.0);
  if (i + 1u < HEAD_SIZE) { x.y = value[offset + i + 1u]; }
  if (i + 2u < HEAD_SIZE) { x.z = value[offset + i + 2u]; }
  if (i + 3u < HEAD_SIZE) { x.w = value[offset + i + 3u]; }
  return x;
}

fn output_gradient_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector;
  var x = vec4f(output_gradient[offset + i], 0.0, 0.0, 0.0);
  if (i + 1u < HEAD_SIZE) { x.y = output_gradient[offset + i + 1u]; }
  if (i + 2u < HEAD_SIZE) { x.z = output_gradient[offset + i + 2u]; }
  if (i + 3u < HEAD_SIZE) { x.w = output_gradient[offset + i + 3u]; }
  return x;
}

// The same features of four rows, one per column.
fn queries(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    query_vector(offsets.x, vector), query_vector(offsets.y, vector),
    query_vector(offsets.z, vector), query_vector(offsets.w, vector)
  );
}

fn keys(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    key_vector(offsets.x, vector), key_vector(offsets.y, vector),
    key_vector(offsets.z, vector), key_vector(offsets.w, vector)
  );
}

fn values(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    value_vector(offsets.x, vector), value_vector(offsets.y, vector),
    value_vector(offsets.z, vector), value_vector(offsets.w, vector)
  );
}

fn output_gradients(offsets: vec4u, vector: u32) -> mat4x4f {
  return mat4x4f(
    output_gradient_vector(offsets.x, vector), output_gradient_vector(offsets.y, vector),
    output_gradient_vector(offsets.z, vector), output_gradient_vector(offsets.w, vector)
  );
}

// Where the head begins in four rows of query (or output_gradient), and of key (or value).
fn query_offsets(batch: u32, head: u32, q: vec4u) -> vec4u {
  return ((batch * params.query_length + q) * params.heads + head) * HEAD_SIZE;
}

fn key_offsets(batch: u32, head: u32, k: vec4u) -> vec4u {
  return ((batch * params.key_length + k) * params.heads + head) * HEAD_SIZE;
}

@compute @workgroup_size(64)
fn backward_query(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = id.y * workgroups.x * 64u + id.x;
  let tiles_per_head = (params.query_length + 3u) / 4u;
  let first_query = tile % tiles_per_head * 4u;
  let head = tile / tiles_per_head % params.heads;
  let batch = tile / (tiles_per_head * params.heads);
  if (batch >= params.batch) { return; }
  let q = min(first_query + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
  let offsets = query_offsets(batch, head, q);

  var owned_queries: array<mat4x4f, HEAD_VECTORS>;
  var owned_gradients: array<mat4x4f, HEAD_VECTORS>;
  var sums: array<mat4x4f, HEAD_VECTORS>;
  for (var v = 0u; v < HEAD_VECTORS; v++) {
    owned_queries[v] = queries(offsets, v);
    owned_gradients[v] = output_gradients(offsets, v);
    sums[v] = mat4x4f();
  }

  for (var first_key = 0u; first_key < params.key_length; first_key += 4u) {
    let columns = first_key + vec4u(0, 1, 2, 3);
    let k = min(columns, vec4u(params.key_length - 1u));
    let visited = key_offsets(batch, head, k);
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      scores += transpose(keys(visited, v)) * owned_queries[v];
      weight_gradients += transpose(values(visited, v)) * owned_gradients[v];
    }
    var score_gradients = mat4x4f();
    for (var r = 0u; r < 4u; r++) {
      for (var c = 0u; c < 4u; c++) {
        let x = pair(batch, head, q[r], k[c], scores[r][c], weight_gradients[r][c]);
        score_gradients[r][c] = select(0.0, x.score_gradient, columns[c] < params.key_length);
      }
    }
    for (var v = 0u; v < HEAD_VECTORS; v++) { sums[v] += keys(visited, v) * score_gradients; }
  }

  for (var r = 0u; r < 4u; r++) {
    if (first_query + r >= params.query_length) { continue; }
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      let i = offsets[r] + 4u * v;
      let x = sums[v][r];
      query_gradient[i] = x.x;
      if (4u * v + 1u < HEAD_SIZE) { query_gradient[i + 1u] = x.y; }
      if (4u * v + 2u < HEAD_SIZE) { query_gradient[i + 2u] = x.z; }
      if (4u * v + 3u < HEAD_SIZE) { query_gradient[i + 3u] = x.w; }
    }
  }
}

@compute @workgroup_size(64)
fn backward_key_value(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = id.y * workgroups.x * 64u + id.x;
  let tiles_per_head = (params.key_length + 3u) / 4u;
  let first_key = tile % tiles_per_head * 4u;
  let head = tile / tiles_per_head % params.heads;
  let batch = tile / (tiles_per_head * params.heads);
  if (batch >= params.batch) { return; }
  let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
  let offsets = key_offsets(batch, head, k);

  var owned_keys: array<mat4x4f, HEAD_VECTORS>;
  var owned_values: array<mat4x4f, HEAD_VECTORS>;
  var key_sums: array<mat4x4f, HEAD_VECTORS>;
  var value_sums: array<mat4x4f, HEAD_VECTORS>;
  for (var v = 0u; v < HEAD_VECTORS; v++) {
    owned_keys[v] = keys(offsets, v);
    owned_values[v] = values(offsets, v);
    key_sums[v] = mat4x4f();
    value_sums[v] = mat4x4f();
  }

  for (var first_query = 0u; first_query < params.query_length; first_query += 4u) {
    let columns = first_query + vec4u(0, 1, 2, 3);
    let q = min(columns, vec4u(params.query_length - 1u));
    let visited = query_offsets(batch, head, q);
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      scores += transpose(queries(visited, v)) * owned_keys[v];
      weight_gradients += transpose(output_gradients(visited, v)) * owned_values[v];
    }
    var weights = mat4x4f();
    var score_gradients = mat4x4f();
    for (var r = 0u; r < 4u; r++) {
      for (var c = 0u; c < 4u; c++) {
        let x = pair(batch, head, q[c], k[r], scores[r][c], weight_gradients[r][c]);
        let exists = columns[c] < params.query_length;
        weights[r][c] = select(0.0, x.weight, exists);
        score_gradients[r][c] = select(0.0, x.score_gradient, exists);
      }
    }
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      key_sums[v] += queries(visited, v) * score_gradients;
      value_sums[v] += output_gradients(visited, v) * weights;
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (first_key + r >= params.key_length) { continue; }
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      let i = offsets[r] + 4u * v;
      for (var c = 0u; c < 4u; c++) {
        if (4u * v + c < HEAD_SIZE) {
          key_gradient[i + c] = key_sums[v][r][c];
          value_gradient[i + c] = value_sums[v][r][c];
        }
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
    let rows = query_offsets(batch, head, q);
    let visited = key_offsets(batch, head, k);
    var scores = mat4x4f();
    var weight_gradients = mat4x4f();
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      scores += transpose(keys(visited, v)) * queries(rows, v);
      weight_gradients += transpose(values(visited, v)) * output_gradients(rows, v);
    }
    for (var r = 0u; r < 4u; r++) {
      for (var c = 0u; c < 4u; c++) {
        let x = pair(batch, head, q[r], k[c], scores[r][c], weight_gradients[r][c]);
        sums[r][c] += x.score_gradient;
      }
    }
  }

  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      if (first_query + r < params.query_length && first_key + c < params.key_length) {
        let i = (head * params.query_length + first_query + r) * params.key_length;
        bias_gradient[i + first_key + c] = sums[r][c];
      }
    }
  }
}
