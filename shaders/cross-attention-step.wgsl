// Cross-attention of the newest token of every sequence to the keys and values of the encoder's output.
//
//   query       [batch, queries, heads, head_size]: sequences decoded side by side, which share the row's keys
//   key, value  [batch, length, heads, head_size]
//   key_mask    [batch, length], 0 where mask_value is added to the score
//   output      as query
//
// `by_invocation`, for CPU adapters: an invocation owns a block of elements of one head and goes over the keys four at
// a time with an online softmax. `by_workgroup`, for GPUs: a workgroup owns 64 features of one head and goes over the
// keys 64 at a time, one invocation per key for the scores and per feature for the sums.

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
  mask_value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<Element>;
@group(0) @binding(2) var<storage, read> key: array<Element>;
@group(0) @binding(3) var<storage, read> value: array<Element>;
@group(0) @binding(4) var<storage, read> key_mask: array<i32>;
@group(0) @binding(5) var<storage, read_write> output: array<Element>;
// The same by features, for `by_workgroup`.
@group(0) @binding(3) var<storage, read> value_features: array<f32>;
@group(0) @binding(5) var<storage, read_write> output_features: array<f32>;

const LOWEST = -3.4028234e38;

// The sum over an element, from that of its products.
fn total_of(products: Element) -> f32 {
  // A scalar is spread over the four summands, a vector fills them.
  return dot(vec4f(products), vec4f(0.25 * f32(WIDTH)));
}

// What is added to the score of a key.
fn mask(batch: u32, k: u32) -> f32 {
  return select(0.0, params.mask_value, key_mask[batch * params.length + k] == 0);
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
  let start = (row * params.heads + head) * HEAD;
  let stride = params.heads * HEAD;
  let base = (batch * params.length * params.heads + head) * HEAD;

  var own: array<Element, HEAD>;
  for (var e = 0u; e < HEAD; e++) { own[e] = query[start + e]; }
  var maximum = LOWEST;
  var total = 0.0;
  var sums: array<Element, BLOCK>;
  for (var k = 0u; k < params.length; k += 4) {
    let keys = min(k + vec4u(0, 1, 2, 3), vec4u(params.length - 1));
    let offsets = base + keys * stride;
    var x = Element();
    var y = Element();
    var z = Element();
    var w = Element();
    for (var e = 0u; e < HEAD; e++) {
      x += own[e] * key[offsets.x + e];
      y += own[e] * key[offsets.y + e];
      z += own[e] * key[offsets.z + e];
      w += own[e] * key[offsets.w + e];
    }
    let scores = vec4f(total_of(x), total_of(y), total_of(z), total_of(w)) +
      vec4f(mask(batch, keys.x), mask(batch, keys.y), mask(batch, keys.z), mask(batch, keys.w));
    let highest = max(maximum, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let rescale = exp(maximum - highest);
    maximum = highest;
    let weights = select(vec4f(), exp(scores - highest), k + vec4u(0, 1, 2, 3) < vec4u(params.length));
    total = total * rescale + (weights.x + weights.y) + (weights.z + weights.w);
    for (var e = 0u; e < BLOCK; e++) {
      let i = min(first + e, HEAD - 1);
      sums[e] = sums[e] * rescale + value[offsets.x + i] * weights.x + value[offsets.y + i] * weights.y +
        value[offsets.z + i] * weights.z + value[offsets.w + i] * weights.w;
    }
  }
  for (var e = 0u; e < BLOCK; e++) {
    if (first + e < HEAD) { output[start + first + e] = sums[e] / total; }
  }
}

var<workgroup> tile: array<f32, 64>;

@compute @workgroup_size(64)
fn by_workgroup(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let feature = group.x * 64u + lane;
  let head = group.y;
  let row = group.z;
  let batch = row / params.queries;
  let start = (row * params.heads + head) * HEAD;
  let stride = params.heads * HEAD;
  let base = (batch * params.length * params.heads + head) * HEAD;

  var sum = 0.0;
  var maximum = LOWEST;
  var total = 0.0;
  for (var first = 0u; first < params.length; first += 64u) {
    let tile_size = min(64u, params.length - first);
    if (lane < tile_size) {
      let k = first + lane;
      var score = Element();
      for (var e = 0u; e < HEAD; e++) { score += query[start + e] * key[base + k * stride + e]; }
      tile[lane] = total_of(score) + mask(batch, k);
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
      if (feature < HEAD * WIDTH) { sum += weight * value_features[(base + (first + j) * stride) * WIDTH + feature]; }
    }
    workgroupBarrier();
  }
  if (feature < HEAD * WIDTH) { output_features[start * WIDTH + feature] = sum / total; }
}
