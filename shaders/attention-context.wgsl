// What every backward attention kernel needs besides the big operands, in one buffer of words, because
// a stage may bind only eight:
//
//   output, output_gradient  [batch, query_length, heads · head_size]
//   statistics               [batch, heads, query_length, 2]: maximum, 1 / Σ exp(score − maximum)
//   key_mask                 [batch, key_length]                        read only if has_key_mask
//   seed                     [2]                                        read only if has_dropout
//   context                  [0], [1]: the words by which dropout's hash is keyed
//                            [2 + 3·row …]: maximum, normaliser, Σ output_gradient · output, as bits of f32,
//                              row over [batch, heads, query_length]
//                            then key_mask
//
// One invocation per row or key; all of them write different words.

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
@group(0) @binding(1) var<storage, read> output: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<u32>;
@group(0) @binding(4) var<storage, read> key_mask: array<i32>;
@group(0) @binding(5) var<storage, read> seed: array<u32>;
@group(0) @binding(6) var<storage, read_write> context: array<u32>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;
// Whether heads begin at a vector and fill their last.
override whole_vectors: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 64u + id.x;
  let rows = params.batch * params.heads * params.query_length;
  if (index < rows) {
    let q = index % params.query_length;
    let head = index / params.query_length % params.heads;
    let batch = index / (params.query_length * params.heads);
    let offset = ((batch * params.query_length + q) * params.heads + head) * params.head_size;
    // One feature after the other by fused multiply-adds, as backward attention sums ∂output · value: where a query
    // sees a single key, and output is its value, the two must be equal to the last bit, or a gradient of 0 becomes
    // noise.
    var sum = 0.0;
    if (whole_vectors) {
      for (var i = offset / 4u; i < (offset + params.head_size) / 4u; i++) {
        let x = output[i];
        let y = output_gradient[i];
        sum = fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, sum))));
      }
    } else {
      for (var i = offset; i < offset + params.head_size; i++) {
        sum = fma(output[i / 4u][i % 4u], output_gradient[i / 4u][i % 4u], sum);
      }
    }
    context[2u + 3u * index] = statistics[2u * index];
    context[3u + 3u * index] = statistics[2u * index + 1u];
    context[4u + 3u * index] = bitcast<u32>(sum);
  }
  if (has_key_mask && index < params.batch * params.key_length) {
    context[2u + 3u * rows + index] = u32(key_mask[index]);
  }
  if (has_dropout && index == 0u) {
    context[0] = params.dropout_site ^ seed[0];
    context[1] = seed[1];
  }
}
