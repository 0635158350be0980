// Attention by register blocking, for CPU adapters: output = dropout(softmax(q·kᵀ + shift)) · v, per head.
//
//   query       [batch, query_length, heads · head_size]
//   key, value  [batch, key_length, heads · head_size]
//   bias        [heads, query_length, key_length]     read only if has_bias
//   key_mask    [batch, key_length], 0 where masked   read only if has_key_mask
//   seed        [2]                                   read only if has_dropout
//   output      as query
//   statistics  [batch, heads, query_length, 2]: maximum of the scores, 1 / Σ exp(score − maximum)
//
// shift = bias + mask_value where masked: the mask is added, not put in place of the score, so a row whose
// keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart because their
// combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// An invocation owns a block of features of four query rows and goes over the keys four at a time with an
// online softmax; scores exist only as one 4×4 matrix in registers. Nothing is shared: on a CPU a barrier costs
// more than the loads it saves. Keys are visited in order, so the same operands give the same bits.
//
// Matrices hold one query row per column: scores[row][key], sums[vector][row] (four features of a row).

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
@group(0) @binding(5) var<storage, read> key_mask: array<i32>;
@group(0) @binding(6) var<storage, read> seed: array<u32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;
@group(0) @binding(8) var<storage, read_write> statistics: array<f32>;

override has_bias: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

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
  let i = batch * params.key_length + k;
  return vec4i(key_mask[i.x], key_mask[i.y], key_mask[i.z], key_mask[i.w]) == vec4i();
}

@compute @workgroup_size(64)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let owned = owner(id.y * workgroups.x * 64u + id.x, params.query_length);
  let batch = owned.batch;
  let head = owned.head;
  if (batch >= params.batch) { return; }
  let q = min(owned.first_row + vec4u(0, 1, 2, 3), vec4u(params.query_length - 1u));
  let rows = (batch * params.heads + head) * params.query_length + q;
  let own_offsets = query_offsets(batch, head, q);
  let head_vectors = (params.head_size + 3u) / 4u;

  var sums: array<mat4x4f, BLOCK_VECTORS>;
  var maximum = vec4f(LOWEST);
  var total = vec4f();
  for (var first_key = 0u; first_key < params.key_length; first_key += 4u) {
    let exists = first_key + vec4u(0, 1, 2, 3) < vec4u(params.key_length);
    let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
    let offsets = key_offsets(batch, head, k);

    var scores = mat4x4f();
    for (var v = 0u; v < head_vectors; v++) {
      scores += transpose(key_vectors(offsets, v)) * query_vectors(own_offsets, v);
    }

    let masked = masked_keys(batch, k);
    var highest = maximum;
    for (var r = 0u; r < 4u; r++) {
      let row = select(vec4f(LOWEST), scores[r] + shift(head, q[r], k, masked), exists);
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
      if (has_dropout) { row *= kept(rows[r] * params.key_length + k); }
      weights[r] = row;
    }

    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      let old = sums[v];
      sums[v] = mat4x4f(
        old[0] * rescale.x, old[1] * rescale.y, old[2] * rescale.z, old[3] * rescale.w
      ) + value_vectors(offsets, owned.first_vector + v) * weights;
    }
  }

  let normaliser = 1.0 / total;
  for (var r = 0u; r < 4u; r++) {
    if (owned.first_row + r >= params.query_length) { continue; }
    if (owned.first_vector == 0u) {
      statistics[2u * rows[r]] = maximum[r];
      statistics[2u * rows[r] + 1u] = normaliser[r];
    }
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      let x = sums[v][r] * normaliser[r];
      for (var c = 0u; c < 4u; c++) {
        let i = 4u * (owned.first_vector + v) + c;
        if (i < params.head_size) { output[own_offsets[r] + i] = x[c]; }
      }
    }
  }
}
