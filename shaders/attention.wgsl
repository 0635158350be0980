// Attention by register blocking, for CPU adapters: output = dropout(softmax(q·kᵀ + shift)) · v, per head.
//
//   query                [batch, query_length, heads · HEAD_SIZE]
//   key, value           [batch, key_length, heads · HEAD_SIZE]
//   bias                 [heads, query_length, key_length]     read only if has_bias
//   key_mask             [batch, key_length], 0 where masked   read only if has_key_mask
//   seed                 [2]                                   read only if has_dropout
//   output               as query
//   statistics           [batch, heads, query_length, 2]: maximum of the scores, 1 / Σ exp(score − maximum)
//
// shift = bias + mask_value where masked: the mask is added, not put in place of the score, so a row whose
// keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart because their
// combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// An invocation owns four query rows of one head and goes over the keys four at a time with an online
// softmax; scores exist only as one 4×4 matrix in registers. Nothing is shared: on a CPU a barrier costs more
// than the loads it saves. Keys are visited in order, so the same operands give the same bits.
//
// Matrices hold one query row per column: scores[row][key], output[vector][row] (four features of a row).

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
@group(0) @binding(5) var<storage, read> key_mask: array<i32>;
@group(0) @binding(6) var<storage, read> seed: array<u32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;
@group(0) @binding(8) var<storage, read_write> statistics: array<f32>;

override has_bias: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

// pcg3d (Jarzynski & Olano 2020): three well-mixed words.
fn pcg3d(word: vec3u) -> vec3u {
  var v = word * 1664525u + 1013904223u;
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z; v.y += v.z * v.x; v.z += v.x * v.y;
  return v;
}

// What dropout multiplies the weight at a linear index of [batch, heads, query_length, key_length] with.
fn kept(element: u32) -> f32 {
  let word = pcg3d(vec3u(element, params.dropout_site ^ seed[0], seed[1])).x;
  let uniform_number = f32(word >> 8u) * (1.0 / 16777216.0);
  return select(0.0, 1.0 / (1.0 - params.dropout_rate), uniform_number >= params.dropout_rate);
}

// What is added to the score of a query and a key.
fn shift(batch: u32, head: u32, q: u32, k: u32) -> f32 {
  var sum = 0.0;
  var masked = causal && k > q;
  if (has_bias) { sum = bias[(head * params.query_length + q) * params.key_length + k]; }
  if (has_key_mask) { masked = masked || key_mask[batch * params.key_length + k] == 0; }
  return sum + select(0.0, params.mask_value, masked);
}

fn shifts(batch: u32, head: u32, q: u32, k: vec4u) -> vec4f {
  return vec4f(
    shift(batch, head, q, k.x), shift(batch, head, q, k.y),
    shift(batch, head, q, k.z), shift(batch, head, q, k.w)
  );
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

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = id.y * workgroups.x * 64u + id.x;
  let tiles_per_head = (params.query_length + 3u) / 4u;
  let first_query = tile % tiles_per_head * 4u;
  let head = tile / tiles_per_head % params.heads;
  let batch = tile / (tiles_per_head * params.heads);
  if (batch >= params.batch) { return; }
  let stride = params.heads * HEAD_SIZE;
  let rows = min(first_query + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
  let query_offsets = (batch * params.query_length + rows) * stride + head * HEAD_SIZE;

  var queries: array<mat4x4f, HEAD_VECTORS>;
  var sums: array<mat4x4f, HEAD_VECTORS>;
  for (var v = 0u; v < HEAD_VECTORS; v++) {
    queries[v] = mat4x4f(
      query_vector(query_offsets.x, v), query_vector(query_offsets.y, v),
      query_vector(query_offsets.z, v), query_vector(query_offsets.w, v)
    );
    sums[v] = mat4x4f();
  }

  var maximum = vec4f(LOWEST);
  var total = vec4f();
  for (var first_key = 0u; first_key < params.key_length; first_key += 4u) {
    let columns = first_key + vec4u(0, 1, 2, 3);
    let exists = columns < vec4u(params.key_length);
    let k = min(columns, vec4u(params.key_length - 1u));
    let offsets = (batch * params.key_length + k) * stride + head * HEAD_SIZE;

    var scores = mat4x4f();
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      let keys = mat4x4f(
        key_vector(offsets.x, v), key_vector(offsets.y, v),
        key_vector(offsets.z, v), key_vector(offsets.w, v)
      );
      scores += transpose(keys) * queries[v];
    }

    var highest = maximum;
    for (var r = 0u; r < 4u; r++) {
      let row = select(vec4f(LOWEST), scores[r] + shifts(batch, head, rows[r], k), exists);
      scores[r] = row;
      highest[r] = max(highest[r], max(max(row.x, row.y), max(row.z, row.w)));
    }
    let rescale = exp(maximum - highest);
    maximum = highest;
    total *= rescale;
    var weights = mat4x4f();
    for (var r = 0u; r < 4u; r++) {
      var row = select(vec4f(), exp(scores[r] - highest[r]), exists);
      total[r] += (row.x + row.y) + (row.z + row.w);
      if (has_dropout) {
        let element = ((batch * params.heads + head) * params.query_length + rows[r]) *
          params.key_length;
        row *= vec4f(
          kept(element + k.x), kept(element + k.y), kept(element + k.z), kept(element + k.w)
        );
      }
      weights[r] = row;
    }

    for (var v = 0u; v < HEAD_VECTORS; v++) {
      let values = mat4x4f(
        value_vector(offsets.x, v), value_vector(offsets.y, v),
        value_vector(offsets.z, v), value_vector(offsets.w, v)
      );
      let old = sums[v];
      sums[v] = mat4x4f(
        old[0] * rescale.x, old[1] * rescale.y, old[2] * rescale.z, old[3] * rescale.w
      ) + values * weights;
    }
  }

  let normaliser = 1.0 / total;
  for (var r = 0u; r < 4u; r++) {
    if (first_query + r >= params.query_length) { continue; }
    let row = (batch * params.heads + head) * params.query_length + rows[r];
    statistics[2u * row] = maximum[r];
    statistics[2u * row + 1u] = normaliser[r];
    for (var v = 0u; v < HEAD_VECTORS; v++) {
      let x = sums[v][r] * normaliser[r];
      let i = query_offsets[r] + 4u * v;
      output[i] = x.x;
      if (4u * v + 1u < HEAD_SIZE) { output[i + 1u] = x.y; }
      if (4u * v + 2u < HEAD_SIZE) { output[i + 2u] = x.z; }
      if (4u * v + 3u < HEAD_SIZE) { output[i + 3u] = x.w; }
    }
  }
}
