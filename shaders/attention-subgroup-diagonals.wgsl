// Sums of attention's ∂scores along diagonals, from those of tiles of 8 × 8 pairs.
//
//   diagonal_parts  [batch, heads, tiles, 8, 8], of attention-subgroup-gradient.wgsl
//   diagonals       [heads, query_length + key_length − 1], along key − query, from 1 − query_length up
//
// One invocation owns one diagonal and goes along the batch in order, so the same operands give the same bits.

struct Params {
  batch: u32,
  heads: u32,
  query_length: u32,
  key_length: u32,
  tiles: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> diagonal_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> diagonals: array<f32>;

@compute @workgroup_size(8)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * workgroups.x * 8u + id.x;
  let count = params.query_length + params.key_length - 1u;
  if (index >= params.heads * count) { return; }
  let head = index / count;
  // 8 · (tile + 1) + lane − row of the pairs.
  let position = index % count + 1u + (params.query_length + 7u) / 8u * 8u - params.query_length;
  var sum = 0.0;
  for (var batch = 0u; batch < params.batch; batch++) {
    var batch_sum = 0.0;
    for (var row = 0u; row < 8u; row++) {
      let lane = position % 8u + row;
      let tile = position / 8u + lane / 8u;
      // The first and last tiles of the longest diagonals have no pairs in some rows.
      if (tile == 0u || tile > params.tiles) { continue; }
      let slice = batch * params.heads + head;
      let i = 16u * (params.tiles * slice + tile - 1u) + row / 4u * 8u + lane % 8u;
      batch_sum += diagonal_parts[4u * i + row % 4u];
    }
    sum += batch_sum;
  }
  diagonals[index] = sum;
}
