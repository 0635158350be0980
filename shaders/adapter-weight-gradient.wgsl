// Gradient of one product of a per-instance adapter, and of the bias after it:
//
//   weights[i] = left[i]ᵀ · right[i]     bias[i] = Σ rows of right[i]
//
//   left     [instances, rows, m]
//   right    [instances, rows, n]
//   weights  [instances, m, n]
//   bias     [instances, n]
//
// One invocation owns 4 × 8 sums and adds an instance's rows in order. The bias is a product like the
// others, with a column of ones that follows the last one of `left`: row m of the result.

struct Params {
  instances: u32,
  rows: u32,
  m: u32,
  n: u32,
}

const GROUP = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> left: array<vec4f>;
@group(0) @binding(2) var<storage, read> right: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias: array<f32>;

// Whether m and n are multiples of four.
override vectorized: bool = false;

fn left_value(row: u32, column: u32) -> f32 {
  let i = row * params.m + column;
  return select(1.0, left[i / 4u][i % 4u], column < params.m);
}

fn right_value(i: u32) -> f32 { return right[i / 4u][i % 4u]; }

// Columns m … m + 3 of a row of `left` with its column of ones.
fn four_left(row: u32, m: u32) -> vec4f {
  if (vectorized) {
    return select(vec4f(1.0), left[(row * params.m + m) / 4u], m < params.m);
  }
  return vec4f(
    left_value(row, m), left_value(row, m + 1u), left_value(row, m + 2u), left_value(row, m + 3u)
  );
}

fn four_right(row: u32, n: u32) -> vec4f {
  let i = row * params.n + n;
  if (vectorized) { return right[i / 4u]; }
  return vec4f(right_value(i), right_value(i + 1u), right_value(i + 2u), right_value(i + 3u));
}

// left ⊗ right: column r of the matrix is left[r] · right.
fn outer(left: vec4f, right: vec4f) -> mat4x4f {
  return mat4x4f(left.x * right, left.y * right, left.z * right, left.w * right);
}

fn store(instance: u32, m: u32, n: u32, sums: vec4f) {
  if (m > params.m) { return; }
  for (var i = 0u; i < 4u; i++) {
    if (n + i < params.n) {
      if (m < params.m) {
        weights[(instance * params.m + m) * params.n + n + i] = sums[i];
      } else {
        bias[instance * params.n + n + i] = sums[i];
      }
    }
  }
}

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * GROUP) + id.x;
  let blocks_across = (params.n + 7u) / 8u;
  let blocks_down = params.m / 4u + 1u;
  let instance = index / (blocks_across * blocks_down);
  if (instance >= params.instances) { return; }
  let m = index / blocks_across % blocks_down * 4u;
  let n = index % blocks_across * 8u;

  var near = mat4x4f();
  var far = mat4x4f();
  for (var r = 0u; r < params.rows; r++) {
    let row = instance * params.rows + r;
    let a = four_left(row, m);
    near += outer(a, four_right(row, n));
    far += outer(a, four_right(row, n + 4u));
  }
  store(instance, m, n, near[0]);
  store(instance, m, n + 4u, far[0]);
  store(instance, m + 1u, n, near[1]);
  store(instance, m + 1u, n + 4u, far[1]);
  store(instance, m + 2u, n, near[2]);
  store(instance, m + 2u, n + 4u, far[2]);
  store(instance, m + 3u, n, near[3]);
  store(instance, m + 3u, n + 4u, far[3]);
}
