// Self-attention of the newest token of every sequence, whose key and value are put into the cache.
//
//   packed                  [batch, queries, 3, heads, head_size]: query, key and value of the newest token
//   position                [1], its index
//   table                   [buckets, heads], position bias
//   ancestors               [batch, queries, length], a slot for each earlier token    read only if has_ancestors
//   key_cache, value_cache  [batch, length, queries, heads, head_size], overwritten at `position`
//   output                  [batch, queries, heads, head_size]
//
// The queries of a row are sequences decoded side by side, each with a slot of the cache. Beam search goes on from
// other sequences than it came from: its ancestors say in whose slot each earlier key of a sequence lies, so that
// nothing is copied. At a position beyond the cache nothing is written.
//
// `by_invocation`, for CPU adapters: an invocation owns a block of elements of one head and goes over the keys four at
// a time with an online softmax. `by_workgroup`, for GPUs: a workgroup owns 64 features of one head and goes over the
// keys 64 at a time, one invocation per key for the scores and per feature for the sums.
//
// Invariant: what is written to the cache is read by later dispatches alone; the newest key and value come from
// `packed`, so that no invocation waits for another.

alias Element = f32;
const WIDTH = 1u;

// Replaced when the shader is specialised: elements of a head, blocks that it has, and elements of a block, which an
// invocation sums up. In the text, because they are lengths of arrays.
const HEAD = 8u;
const BLOCKS = 1u;
const BLOCK = 8u;

struct Params {
  batch: u32,
  queries: u32,
  heads: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> packed: array<Element>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> ancestors: array<u32>;
@group(0) @binding(5) var<storage, read_write> key_cache: array<Element>;
@group(0) @binding(6) var<storage, read_write> value_cache: array<Element>;
@group(0) @binding(7) var<storage, read_write> output: array<Element>;
// The same by features, for `by_workgroup`.
@group(0) @binding(6) var<storage, read_write> value_features: array<f32>;
@group(0) @binding(7) var<storage, read_write> output_features: array<f32>;
@group(0) @binding(8) var<storage, read> packed_features: array<f32>;

override has_ancestors: bool = false;

// Where an earlier key begins, in elements: that of a sequence (numbered through the batch) whose own slot is `own`.
fn earlier(batch: u32, row: u32, own: u32, head: u32, k: u32) -> u32 {
  var slot = own;
  if (has_ancestors) { slot = ancestors[row * params.length + k]; }
  return (((batch * params.length + k) * params.queries + slot) * params.heads + head) * HEAD;
}

// Where a sequence's newest query (part 0), key or value begins, in elements.
fn newest(row: u32, part: u32, head: u32) -> u32 {
  return ((row * 3 + part) * params.heads + head) * HEAD;
}

// The sum over an element, from that of its products.
fn total_of(products: Element) -> f32 {
  // A scalar is spread over the four summands, a vector fills them.
  return dot(vec4f(products), vec4f(0.25 * f32(WIDTH)));
}

// What is added to the scores of keys so far back.
fn bias(distances: vec4u, head: u32) -> vec4f {
  // Replaced when the shader is specialised: the bucket of each distance. Not a loop over an array of constants, which
  // drivers of CPU adapters read from memory.
  let bucket = vec4u();
  let i = bucket * params.heads + head;
  return vec4f(table[i.x], table[i.y], table[i.z], table[i.w]);
}

@compute @workgroup_size(8)
fn by_invocation(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 8u + id.x;
  let first = index % BLOCKS * BLOCK;
  let head = index / BLOCKS % params.heads;
  let row = index / (BLOCKS * params.heads);
  if (row >= params.batch * params.queries) { return; }
  let batch = row / params.queries;
  let own = row % params.queries;
  let now = position[0];

  var query: array<Element, HEAD>;
  var products = Element();
  for (var e = 0u; e < HEAD; e++) {
    query[e] = packed[newest(row, 0, head) + e];
    products += query[e] * packed[newest(row, 1, head) + e];
  }
  // The softmax begins with the newest key.
  var maximum = total_of(products) + table[head];
  var total = 1.0;
  var sums: array<Element, BLOCK>;
  let at = (((batch * params.length + now) * params.queries + own) * params.heads + head) * HEAD;
  for (var e = 0u; e < BLOCK; e++) {
    let i = min(first + e, HEAD - 1);
    sums[e] = packed[newest(row, 2, head) + i];
    if (now < params.length) {
      key_cache[at + i] = packed[newest(row, 1, head) + i];
      value_cache[at + i] = sums[e];
    }
  }

  let count = min(now, params.length);
  for (var k = 0u; k < count; k += 4) {
    let keys = min(k + vec4u(0, 1, 2, 3), vec4u(count - 1));
    let offsets = vec4u(
      earlier(batch, row, own, head, keys.x), earlier(batch, row, own, head, keys.y),
      earlier(batch, row, own, head, keys.z), earlier(batch, row, own, head, keys.w)
    );
    var x = Element();
    var y = Element();
    var z = Element();
    var w = Element();
    for (var e = 0u; e < HEAD; e++) {
      x += query[e] * key_cache[offsets.x + e];
      y += query[e] * key_cache[offsets.y + e];
      z += query[e] * key_cache[offsets.z + e];
      w += query[e] * key_cache[offsets.w + e];
    }
    let scores = vec4f(total_of(x), total_of(y), total_of(z), total_of(w)) + bias(now - keys, head);
    let highest = max(maximum, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let rescale = exp(maximum - highest);
    maximum = highest;
    let weights = select(vec4f(), exp(scores - highest), k + vec4u(0, 1, 2, 3) < vec4u(count));
    total = total * rescale + (weights.x + weights.y) + (weights.z + weights.w);
    for (var e = 0u; e < BLOCK; e++) {
      let i = min(first + e, HEAD - 1);
      sums[e] = sums[e] * rescale + value_cache[offsets.x + i] * weights.x + value_cache[offsets.y + i] * weights.y +
        value_cache[offsets.z + i] * weights.z + value_cache[offsets.w + i] * weights.w;
    }
  }
  for (var e = 0u; e < BLOCK; e++) {
    if (first + e < HEAD) { output[(row * params.heads + head) * HEAD + first + e] = sums[e] / total; }
  }
}

var<workgroup> tile: array<f32, 64>;
var<workgroup> tile_offsets: array<u32, 64>;

@compute @workgroup_size(64)
fn by_workgroup(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let feature = group.x * 64u + lane;
  let head = group.y;
  let row = group.z;
  let batch = row / params.queries;
  let own = row % params.queries;
  let now = position[0];
  let is_mine = feature < HEAD * WIDTH;

  var products = Element();
  for (var e = 0u; e < HEAD; e++) { products += packed[newest(row, 0, head) + e] * packed[newest(row, 1, head) + e]; }
  // The softmax begins with the newest key.
  var maximum = total_of(products) + table[head];
  var total = 1.0;
  var sum = 0.0;
  if (is_mine) { sum = packed_features[newest(row, 2, head) * WIDTH + feature]; }
  if (now < params.length) {
    let at = (((batch * params.length + now) * params.queries + own) * params.heads + head) * HEAD;
    if (is_mine) { value_features[at * WIDTH + feature] = sum; }
    let e = group.x * 64u / WIDTH + lane;
    if (lane < 64u / WIDTH && e < HEAD) { key_cache[at + e] = packed[newest(row, 1, head) + e]; }
  }

  let count = min(now, params.length);
  for (var first = 0u; first < count; first += 64u) {
    let tile_size = min(64u, count - first);
    if (lane < tile_size) {
      let k = first + lane;
      let offset = earlier(batch, row, own, head, k);
      var score = Element();
      for (var e = 0u; e < HEAD; e++) { score += packed[newest(row, 0, head) + e] * key_cache[offset + e]; }
      tile_offsets[lane] = offset * WIDTH;
      tile[lane] = total_of(score) + bias(vec4u(now - k), head).x;
    }
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
      if (is_mine) { sum += weight * value_features[tile_offsets[j] + feature]; }
    }
    workgroupBarrier();
  }
  if (is_mine) { output_features[(row * params.heads + head) * HEAD * WIDTH + feature] = sum / total; }
}
