// Every row of one matrix beside every row of another: the hypernetwork's input.
//
//   z      [batch, columns_z]      conditioning vector of each instance
//   e      [layers, columns_e]     embedding of each layer
//   pairs  [layers, batch, columns_z + columns_e]
//
// forward:       pairs[l, b] = z[b] ; e[l]
// gradient_z:    dz[b, c] = sum over l of dpairs[l, b, c]
// gradient_e:    de[l, c] = sum over b of dpairs[l, b, columns_z + c]
//
// One invocation owns one output element and adds in index order, so results are deterministic. Layers
// outermost: what the heads generate for one layer is then contiguous and can be used in place.

struct Params {
  batch: u32,
  layers: u32,
  columns_z: u32,
  columns_e: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> e: array<f32>;
@group(0) @binding(3) var<storage, read> pairs_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

fn index(id: vec3u, groups: vec3u) -> u32 {
  return id.y * (groups.x * 64u) + id.x;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  let width = params.columns_z + params.columns_e;
  if (i >= params.layers * params.batch * width) { return; }
  let column = i % width;
  let row = i / width;
  if (column < params.columns_z) {
    result[i] = z[(row % params.batch) * params.columns_z + column];
  } else {
    result[i] = e[(row / params.batch) * params.columns_e + column - params.columns_z];
  }
}

@compute @workgroup_size(64)
fn gradient_z(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  if (i >= params.batch * params.columns_z) { return; }
  let width = params.columns_z + params.columns_e;
  let row = i / params.columns_z;
  let column = i % params.columns_z;
  var sum = 0.0;
  for (var layer = 0u; layer < params.layers; layer++) {
    sum += pairs_gradient[(layer * params.batch + row) * width + column];
  }
  result[i] = sum;
}

@compute @workgroup_size(64)
fn gradient_e(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index(id, groups);
  if (i >= params.layers * params.columns_e) { return; }
  let width = params.columns_z + params.columns_e;
  let layer = i / params.columns_e;
  let column = params.columns_z + i % params.columns_e;
  var sum = 0.0;
  for (var row = 0u; row < params.batch; row++) {
    sum += pairs_gradient[(layer * params.batch + row) * width + column];
  }
  result[i] = sum;
}
