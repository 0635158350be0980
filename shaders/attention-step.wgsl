// Attention of the newest queries of a batch over a cache of keys and values, for generation.
//
//   query       [batch, queries, heads · head_size]
//   key, value  [batch, key_length, slots, heads · head_size]
//   position    [1], index of the newest key                    read only if has_position
//   table       [buckets, heads], position bias                 read only if has_table
//   key_mask    [batch, key_length], 0 where masked             read only if has_key_mask
//   ancestors   [batch, queries, key_length], a slot for each   read only if has_ancestors
//   output      as query
//
// The queries of a row are sequences decoded side by side. With one slot they share its keys (those of the
// encoder); with as many slots as queries each has its own. Beam search goes on from other sequences than it
// came from: its ancestors say in whose slot each earlier key of a sequence lies, so that nothing is copied.
//
// With a position, keys after it are not in the cache yet and are left out; the query stands at that position,
// from which the bias follows. Else all keys are read. Masks are added to scores, as in attention-tiled.wgsl.
//
// `by_invocation`, for CPU adapters: an invocation owns a block of features of one head and goes over the keys
// four at a time with an online softmax. `by_workgroup`, for GPUs: a workgroup owns 64 features of one head and
// goes over the keys 64 at a time, one invocation per key for the scores and per feature for the sums.

// Replaced when the shader is specialised. A block is 4 · BLOCK_VECTORS features of a head: larger ones mean fewer
// scores computed twice, but code that drivers compile slowly. For the rest see attention-tiled.wgsl.
const BLOCK_VECTORS = 8u;
const FIRST_DISTANCES = array<u32, 2>(0u, 1u);
const BIDIRECTIONAL = true;
const DIRECTION_BUCKETS = 2u;

struct Params {
  batch: u32,
  queries: u32,
  slots: u32,
  heads: u32,
  key_length: u32,
  head_size: u32,
  mask_value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> position: array<u32>;
@group(0) @binding(5) var<storage, read> table: array<f32>;
@group(0) @binding(6) var<storage, read> key_mask: array<i32>;
@group(0) @binding(7) var<storage, read> ancestors: array<u32>;
@group(0) @binding(8) var<storage, read_write> output: array<f32>;

override has_position: bool = false;
override has_table: bool = false;
override has_key_mask: bool = false;
override has_ancestors: bool = false;

const LOWEST = -3.4028234e38;

// Keys that are read.
fn key_count() -> u32 {
  if (has_position) { return min(position[0] + 1u, params.key_length); }
  return params.key_length;
}

// Where key `k` begins: that of a query (numbered through the batch) whose own slot is `own`. What does not
// depend on the key is given: drivers do not move divisions out of loops.
fn key_offset(row: u32, batch: u32, own: u32, head: u32, k: u32) -> u32 {
  var slot = own;
  if (has_ancestors) { slot = ancestors[row * params.key_length + k]; }
  return (((batch * params.key_length + k) * params.slots + slot) * params.heads + head) * params.head_size;
}

// The row of the table for a key at or before the query.
fn bucket(distance: u32) -> u32 {
  var result = 0u;
  for (var n = 1u; n < DIRECTION_BUCKETS; n++) {
    result += select(0u, 1u, distance >= FIRST_DISTANCES[n]);
  }
  return result;
}

// What is added to the score of a key.
fn shift(batch: u32, head: u32, k: u32) -> f32 {
  var sum = 0.0;
  if (has_table) { sum = table[bucket(position[0] - k) * params.heads + head]; }
  if (has_key_mask) {
    sum += select(0.0, params.mask_value, key_mask[batch * params.key_length + k] == 0);
  }
  return sum;
}

// Features 4·vector … 4·vector + 3 of a head that begins at `offset`; zeros beyond the head.
fn query_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  return select(vec4f(), vec4f(query[j.x], query[j.y], query[j.z], query[j.w]), i < vec4u(params.head_size));
}

fn key_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  return select(vec4f(), vec4f(key[j.x], key[j.y], key[j.z], key[j.w]), i < vec4u(params.head_size));
}

fn value_vector(offset: u32, vector: u32) -> vec4f {
  let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  return select(vec4f(), vec4f(value[j.x], value[j.y], value[j.z], value[j.w]), i < vec4u(params.head_size));
}

@compute @workgroup_size(64)
fn by_invocation(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let blocks = (params.head_size + 4u * BLOCK_VECTORS - 1u) / (4u * BLOCK_VECTORS);
  let first_vector = index % blocks * BLOCK_VECTORS;
  let head = index / blocks % params.heads;
  let row = index / (blocks * params.heads);
  if (row >= params.batch * params.queries) { return; }
  let batch = row / params.queries;
  let own = row % params.queries % params.slots; // one slot, or as many as there are queries
  let query_offset = (row * params.heads + head) * params.head_size;
  let head_vectors = (params.head_size + 3u) / 4u;
  let count = key_count();

  var sums: array<vec4f, BLOCK_VECTORS>;
  var maximum = LOWEST;
  var total = 0.0;
  for (var first_key = 0u; first_key < count; first_key += 4u) {
    let exists = first_key + vec4u(0, 1, 2, 3) < vec4u(count);
    let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(count - 1u));
    let offsets = vec4u(
      key_offset(row, batch, own, head, k.x), key_offset(row, batch, own, head, k.y),
      key_offset(row, batch, own, head, k.z), key_offset(row, batch, own, head, k.w)
    );

    var scores = vec4f();
    for (var v = 0u; v < head_vectors; v++) {
      let keys = mat4x4f(
        key_vector(offsets.x, v), key_vector(offsets.y, v),
        key_vector(offsets.z, v), key_vector(offsets.w, v)
      );
      scores += query_vector(query_offset, v) * keys;
    }
    scores += vec4f(
      shift(batch, head, k.x), shift(batch, head, k.y), shift(batch, head, k.z), shift(batch, head, k.w)
    );
    scores = select(vec4f(LOWEST), scores, exists);
    let highest = max(maximum, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let rescale = exp(maximum - highest);
    maximum = highest;
    let weights = select(vec4f(), exp(scores - highest), exists);
    total = total * rescale + (weights.x + weights.y) + (weights.z + weights.w);
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      let values = mat4x4f(
        value_vector(offsets.x, first_vector + v), value_vector(offsets.y, first_vector + v),
        value_vector(offsets.z, first_vector + v), value_vector(offsets.w, first_vector + v)
      );
      sums[v] = sums[v] * rescale + values * weights;
    }
  }

  for (var v = 0u; v < BLOCK_VECTORS; v++) {
    let x = sums[v] / total;
    for (var c = 0u; c < 4u; c++) {
      let i = 4u * (first_vector + v) + c;
      if (i < params.head_size) { output[query_offset + i] = x[c]; }
    }
  }
}

var<workgroup> tile: array<f32, 64>;
var<workgroup> offsets: array<u32, 64>;

@compute @workgroup_size(64)
fn by_workgroup(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let feature = group.x * 64u + lane;
  let head = group.y;
  let row = group.z;
  let batch = row / params.queries;
  let own = row % params.queries % params.slots; // one slot, or as many as there are queries
  let query_offset = (row * params.heads + head) * params.head_size;
  let count = key_count();

  var sum = 0.0;
  var maximum = LOWEST;
  var total = 0.0;
  for (var first_key = 0u; first_key < count; first_key += 64u) {
    let tile_size = min(64u, count - first_key);
    var score = LOWEST;
    if (lane < tile_size) {
      let k = first_key + lane;
      let offset = key_offset(row, batch, own, head, k);
      offsets[lane] = offset;
      var product = 0.0;
      for (var i = 0u; i < params.head_size; i++) { product += query[query_offset + i] * key[offset + i]; }
      score = product + shift(batch, head, k);
    }
    tile[lane] = score;
    workgroupBarrier();

    // Everybody goes over the tile in the same order, so all agree on maximum and total.
    var highest = maximum;
    for (var j = 0u; j < tile_size; j++) { highest = max(highest, tile[j]); }
    let rescale = exp(maximum - highest);
    maximum = highest;
    sum *= rescale;
    total *= rescale;
    for (var j = 0u; j < tile_size; j++) {
      let weight = exp(tile[j] - highest);
      total += weight;
      if (feature < params.head_size) {
        sum += weight * value[offsets[j] + feature];
      }
    }
    workgroupBarrier();
  }
  if (feature < params.head_size) { output[query_offset + feature] = sum / total; }
}
