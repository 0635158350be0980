// The softmax between the matrix products of attention, and its gradient: for CPU adapters, where products of
// large blocks, with the scores in memory between them, are faster than a kernel that does it all.
//
//   scores           [batch, heads, query_length, row_vectors] vec4s; query · key, overwritten by the weights
//   score_gradients  as scores; ∂output · value, overwritten by ∂scores
//   bias             [heads, query_length, key_length]     read only if has_bias
//   key_mask         [batch, key_length], 0 where masked   read only if has_key_mask
//   seed             [2]                                   read only if has_dropout
//   statistics       [batch, heads, query_length, 2]: maximum of the scores, 1 / Σ exp(score − maximum)
//                    (forward_statistics where a pass reads what the forward pass wrote)
//   bias_gradient    as bias
//
// With p the softmax of the scores and m what dropout multiplies by (0 or 1 / (1 − rate)):
//
//   weights = m · p                ∂scores = p · (m · (∂output · value) − Σ_key m · p · (∂output · value))
//   p = softmax(scores + shift)    ∂bias = Σ_batch ∂scores
//
// shift = bias + mask_value where masked: the mask is added, not put in place of the score, so a row whose
// keys are all masked is the softmax of its shifted scores. Maximum and sum are kept apart because their
// combination, the log-sum-exp, drowns in the rounding of a mask_value of −1e9.
//
// One invocation owns one row (or four elements of the bias) and goes along it in order, so the same operands
// give the same bits. Rows of scores are padded to whole vec4s, of which the padding holds nothing of use.

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
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> key_mask: array<i32>;
@group(0) @binding(3) var<storage, read> seed: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(6) var<storage, read> forward_statistics: array<f32>;
@group(0) @binding(7) var<storage, read_write> score_gradients: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> bias_gradient: array<f32>;

override has_bias: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

// One vector of a CPU adapter's lanes.
const WORKGROUP_SIZE = 8u;

struct Row {
  batch: u32,
  head: u32,
  query: u32,
}

fn row_at(index: u32) -> Row {
  let slice = index / params.query_length;
  return Row(slice / params.heads, slice % params.heads, index % params.query_length);
}

fn row_vectors() -> u32 { return (params.key_length + 3u) / 4u; }

// Which of four keys there are.
fn exists(first_key: u32) -> vec4<bool> {
  return first_key + vec4u(0, 1, 2, 3) < vec4u(params.key_length);
}

// What is added to the scores of a row to four keys.
fn shift(row: Row, first_key: u32) -> vec4f {
  let k = min(first_key + vec4u(0, 1, 2, 3), vec4u(params.key_length - 1u));
  var sum = vec4f();
  if (has_bias) {
    let i = (row.head * params.query_length + row.query) * params.key_length + k;
    sum = vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
  }
  var masked = vec4<bool>();
  if (has_key_mask) {
    let i = row.batch * params.key_length + k;
    masked = vec4i(key_mask[i.x], key_mask[i.y], key_mask[i.z], key_mask[i.w]) == vec4i();
  }
  if (causal) { masked |= k > vec4u(row.query); }
  return sum + select(vec4f(), vec4f(params.mask_value), masked);
}

// Which of four elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(first_element: u32) -> vec4f {
  var x = (first_element + vec4u(0, 1, 2, 3)) * 1664525u + 1013904223u;
  var y = vec4u((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = vec4u(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  return select(vec4f(), vec4f(dropout_scale()), uniform_numbers >= vec4f(params.dropout_rate));
}

fn dropout_scale() -> f32 { return 1.0 / (1.0 - params.dropout_rate); }

@compute @workgroup_size(WORKGROUP_SIZE)
fn forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  if (index >= params.batch * params.heads * params.query_length) { return; }
  let row = row_at(index);
  let vectors = row_vectors();

  var maximum = LOWEST;
  var total = 0.0;
  for (var v = 0u; v < vectors; v++) {
    let shifted = scores[index * vectors + v] + shift(row, 4u * v);
    scores[index * vectors + v] = shifted;
    let four = select(vec4f(LOWEST), shifted, exists(4u * v));
    let highest = max(maximum, max(max(four.x, four.y), max(four.z, four.w)));
    let exponentials = select(vec4f(), exp(four - highest), exists(4u * v));
    total = total * exp(maximum - highest) +
      ((exponentials.x + exponentials.y) + (exponentials.z + exponentials.w));
    maximum = highest;
  }

  let normaliser = 1.0 / total;
  for (var v = 0u; v < vectors; v++) {
    var weights = exp(scores[index * vectors + v] - maximum) * normaliser;
    if (has_dropout) { weights *= kept(index * params.key_length + 4u * v); }
    scores[index * vectors + v] = weights;
  }
  statistics[2u * index] = maximum;
  statistics[2u * index + 1u] = normaliser;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  if (index >= params.batch * params.heads * params.query_length) { return; }
  let row = row_at(index);
  let vectors = row_vectors();
  let maximum = forward_statistics[2u * index];
  let normaliser = forward_statistics[2u * index + 1u];

  var mean = 0.0;
  for (var v = 0u; v < vectors; v++) {
    let shifted = scores[index * vectors + v] + shift(row, 4u * v);
    var probabilities = exp(shifted - maximum) * normaliser;
    var products = probabilities * score_gradients[index * vectors + v];
    if (has_dropout) {
      let keep = kept(index * params.key_length + 4u * v);
      products *= keep;
      // The sign remembers what was dropped.
      probabilities = select(-probabilities, probabilities, keep > vec4f());
    }
    scores[index * vectors + v] = probabilities;
    products = select(vec4f(), products, exists(4u * v));
    mean += (products.x + products.y) + (products.z + products.w);
  }

  for (var v = 0u; v < vectors; v++) {
    var probabilities = scores[index * vectors + v];
    var gradients = score_gradients[index * vectors + v];
    if (has_dropout) {
      let keep = select(vec4f(), vec4f(dropout_scale()), probabilities >= vec4f());
      probabilities = abs(probabilities);
      scores[index * vectors + v] = keep * probabilities;
      gradients *= keep;
    }
    score_gradients[index * vectors + v] = probabilities * (gradients - mean);
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn backward_bias(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * WORKGROUP_SIZE + id.x;
  let vectors = row_vectors();
  let count = params.heads * params.query_length * vectors;
  if (index >= count) { return; }
  var sum = vec4f();
  for (var batch = 0u; batch < params.batch; batch++) {
    sum += score_gradients[batch * count + index];
  }
  let key = index % vectors * 4u;
  for (var c = 0u; c < 4u && key + c < params.key_length; c++) {
    bias_gradient[index / vectors * params.key_length + key + c] = sum[c];
  }
}
