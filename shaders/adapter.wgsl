// Bottleneck adapter, forward and backward, four rows per invocation. For CPU adapters.
//
//   forward:   hidden = relu(x · down + down_bias)      result = residual + hidden · up + up_bias
//   backward:  hidden = dy · upᵀ where gate > 0, else 0   result = hidden · downᵀ     (gate: hidden of forward)
//
//   values           [instances, rows, width]       x or dy
//   first, second    a matrix [width, bottleneck] and one [bottleneck, width], per instance or shared by all
//                    (weight_stride 0); both stored the other way round where `transposed`
//   biases           [bottleneck] and [width], per instance or shared
//   residual, result [instances, rows, width]
//   gate, hidden     [instances, rows, bottleneck]
//
// One invocation takes four rows of one instance through both products, eight columns at a time, so that
// nothing is shared between invocations and no barrier is needed: what it reads of `hidden` it wrote itself.
//
// Invariant: matrices here hold weights by column (column i: the weights of input i for four outputs), so
// that weights · rows is four rows of four sums. Rows past the end repeat the last one and are not
// stored. Inputs past a multiple of four are added one by one; outputs past the end are not stored.

struct Params {
  instances: u32,
  rows: u32,
  width: u32,
  bottleneck: u32,
  // Elements from one instance's weights or biases to the next one's.
  weight_stride: u32,
  first_bias_stride: u32,
  second_bias_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> first: array<vec4f>;
@group(0) @binding(3) var<storage, read> second: array<vec4f>;
@group(0) @binding(4) var<storage, read> first_bias: array<f32>;
@group(0) @binding(5) var<storage, read> second_bias: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(8) var<storage, read_write> result: array<f32>;

const GROUP = 8u;

override transposed: bool = false;
override has_residual: bool = false;
// Whether `result` is wanted, or `hidden` alone.
override has_result: bool = true;
// Whether `width` and `bottleneck` are multiples of four.
override vectorized: bool = false;

// Four rows of an instance: their numbers among all rows, the last valid one repeated, and how many count.
struct Rows {
  instance: u32,
  numbers: vec4u,
  count: u32,
}

// Four rows of eight sums: columns n … n + 3 on the left, n + 4 … n + 7 on the right.
struct Sums {
  left: mat4x4f,
  right: mat4x4f,
}

fn rows_of(index: u32) -> Rows {
  let blocks = (params.rows + 3u) / 4u;
  let instance = index / blocks;
  let start = index % blocks * 4u;
  let numbers = min(start + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
  return Rows(instance, instance * params.rows + numbers, min(4u, params.rows - start));
}

fn value(i: u32) -> f32 { return values[i / 4u][i % 4u]; }
fn first_weight(i: u32) -> f32 { return first[i / 4u][i % 4u]; }
fn second_weight(i: u32) -> f32 { return second[i / 4u][i % 4u]; }

fn four_values(i: u32) -> vec4f {
  if (vectorized) { return values[i / 4u]; }
  return vec4f(value(i), value(i + 1u), value(i + 2u), value(i + 3u));
}

fn four_first(i: u32) -> vec4f {
  if (vectorized) { return first[i / 4u]; }
  return vec4f(first_weight(i), first_weight(i + 1u), first_weight(i + 2u), first_weight(i + 3u));
}

fn four_second(i: u32) -> vec4f {
  if (vectorized) { return second[i / 4u]; }
  return vec4f(second_weight(i), second_weight(i + 1u), second_weight(i + 2u), second_weight(i + 3u));
}

// Weights of inputs k … k + 3 for outputs n … n + 3, of the first and the second product.
fn first_block(base: u32, k: u32, n: u32) -> mat4x4f {
  if (transposed) {
    let i = base + n * params.width + k;
    return transpose(mat4x4f(
      four_first(i), four_first(i + params.width),
      four_first(i + 2u * params.width), four_first(i + 3u * params.width)
    ));
  }
  let i = base + k * params.bottleneck + n;
  return mat4x4f(
    four_first(i), four_first(i + params.bottleneck),
    four_first(i + 2u * params.bottleneck), four_first(i + 3u * params.bottleneck)
  );
}

fn second_block(base: u32, k: u32, n: u32) -> mat4x4f {
  if (transposed) {
    let i = base + n * params.bottleneck + k;
    return transpose(mat4x4f(
      four_second(i), four_second(i + params.bottleneck),
      four_second(i + 2u * params.bottleneck), four_second(i + 3u * params.bottleneck)
    ));
  }
  let i = base + k * params.width + n;
  return mat4x4f(
    four_second(i), four_second(i + params.width),
    four_second(i + 2u * params.width), four_second(i + 3u * params.width)
  );
}

// Weights of input k alone for outputs n … n + 3.
fn first_row(base: u32, k: u32, n: u32) -> vec4f {
  if (!transposed) { return four_first(base + k * params.bottleneck + n); }
  let i = base + n * params.width + k;
  return vec4f(
    first_weight(i), first_weight(i + params.width),
    first_weight(i + 2u * params.width), first_weight(i + 3u * params.width)
  );
}

fn second_row(base: u32, k: u32, n: u32) -> vec4f {
  if (!transposed) { return four_second(base + k * params.width + n); }
  let i = base + n * params.bottleneck + k;
  return vec4f(
    second_weight(i), second_weight(i + params.bottleneck),
    second_weight(i + 2u * params.bottleneck), second_weight(i + 3u * params.bottleneck)
  );
}

fn outer(column: vec4f, row: vec4f) -> mat4x4f {
  return mat4x4f(row.x * column, row.y * column, row.z * column, row.w * column);
}

// values · first, columns n … n + 7.
fn first_product(rows: Rows, n: u32) -> Sums {
  let base = rows.instance * params.weight_stride;
  let at = rows.numbers * params.width;
  var sums = Sums();
  let whole = params.width / 4u * 4u;
  for (var k = 0u; k < whole; k += 4u) {
    let x = mat4x4f(
      four_values(at.x + k), four_values(at.y + k), four_values(at.z + k), four_values(at.w + k)
    );
    sums.left += first_block(base, k, n) * x;
    sums.right += first_block(base, k, n + 4u) * x;
  }
  for (var k = whole; k < params.width; k++) {
    let x = vec4f(value(at.x + k), value(at.y + k), value(at.z + k), value(at.w + k));
    sums.left += outer(first_row(base, k, n), x);
    sums.right += outer(first_row(base, k, n + 4u), x);
  }
  return sums;
}

fn four_hidden(i: u32) -> vec4f {
  return vec4f(hidden[i], hidden[i + 1u], hidden[i + 2u], hidden[i + 3u]);
}

// hidden · second, columns n … n + 7.
fn second_product(rows: Rows, n: u32) -> Sums {
  let base = rows.instance * params.weight_stride;
  let at = rows.numbers * params.bottleneck;
  var sums = Sums();
  let whole = params.bottleneck / 4u * 4u;
  for (var k = 0u; k < whole; k += 4u) {
    let h = mat4x4f(
      four_hidden(at.x + k), four_hidden(at.y + k), four_hidden(at.z + k), four_hidden(at.w + k)
    );
    sums.left += second_block(base, k, n) * h;
    sums.right += second_block(base, k, n + 4u) * h;
  }
  for (var k = whole; k < params.bottleneck; k++) {
    let h = vec4f(hidden[at.x + k], hidden[at.y + k], hidden[at.z + k], hidden[at.w + k]);
    sums.left += outer(second_row(base, k, n), h);
    sums.right += outer(second_row(base, k, n + 4u), h);
  }
  return sums;
}

// Four sums of row r, finished and stored. Called with constant r: an index that varies would force all sums
// out of registers.
fn store_hidden(rows: Rows, r: u32, n: u32, sums: vec4f) {
  if (r >= rows.count) { return; }
  for (var i = 0u; i < 4u; i++) {
    let column = n + i;
    if (column < params.bottleneck) {
      let at = rows.numbers[r] * params.bottleneck + column;
      let sum = sums[i] + first_bias[rows.instance * params.first_bias_stride + column];
      // Not max(): on some drivers max(NaN, 0) is 0, and a NaN must not be hidden.
      hidden[at] = select(sum, 0.0, sum < 0.0);
    }
  }
}

fn store_result(rows: Rows, r: u32, n: u32, sums: vec4f) {
  if (r >= rows.count) { return; }
  for (var i = 0u; i < 4u; i++) {
    let column = n + i;
    if (column < params.width) {
      let at = rows.numbers[r] * params.width + column;
      var sum = sums[i] + second_bias[rows.instance * params.second_bias_stride + column];
      if (has_residual) { sum += residual[at]; }
      result[at] = sum;
    }
  }
}

fn store_hidden_gradient(rows: Rows, r: u32, n: u32, sums: vec4f) {
  if (r >= rows.count) { return; }
  for (var i = 0u; i < 4u; i++) {
    let column = n + i;
    if (column < params.bottleneck) {
      let at = rows.numbers[r] * params.bottleneck + column;
      hidden[at] = select(sums[i], 0.0, gate[at] <= 0.0);
    }
  }
}

fn store_input_gradient(rows: Rows, r: u32, n: u32, sums: vec4f) {
  if (r >= rows.count) { return; }
  for (var i = 0u; i < 4u; i++) {
    let column = n + i;
    if (column < params.width) {
      let at = rows.numbers[r] * params.width + column;
      result[at] = sums[i];
    }
  }
}

@compute @workgroup_size(GROUP)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let rows = rows_of(id.y * (groups.x * GROUP) + id.x);
  if (rows.instance >= params.instances) { return; }
  for (var n = 0u; n < params.bottleneck; n += 8u) {
    let sums = first_product(rows, n);
    store_hidden(rows, 0u, n, sums.left[0]);
    store_hidden(rows, 0u, n + 4u, sums.right[0]);
    store_hidden(rows, 1u, n, sums.left[1]);
    store_hidden(rows, 1u, n + 4u, sums.right[1]);
    store_hidden(rows, 2u, n, sums.left[2]);
    store_hidden(rows, 2u, n + 4u, sums.right[2]);
    store_hidden(rows, 3u, n, sums.left[3]);
    store_hidden(rows, 3u, n + 4u, sums.right[3]);
  }
  for (var n = 0u; n < params.width; n += 8u) {
    let sums = second_product(rows, n);
    store_result(rows, 0u, n, sums.left[0]);
    store_result(rows, 0u, n + 4u, sums.right[0]);
    store_result(rows, 1u, n, sums.left[1]);
    store_result(rows, 1u, n + 4u, sums.right[1]);
    store_result(rows, 2u, n, sums.left[2]);
    store_result(rows, 2u, n + 4u, sums.right[2]);
    store_result(rows, 3u, n, sums.left[3]);
    store_result(rows, 3u, n + 4u, sums.right[3]);
  }
}

@compute @workgroup_size(GROUP)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let rows = rows_of(id.y * (groups.x * GROUP) + id.x);
  if (rows.instance >= params.instances) { return; }
  for (var n = 0u; n < params.bottleneck; n += 8u) {
    let sums = first_product(rows, n);
    store_hidden_gradient(rows, 0u, n, sums.left[0]);
    store_hidden_gradient(rows, 0u, n + 4u, sums.right[0]);
    store_hidden_gradient(rows, 1u, n, sums.left[1]);
    store_hidden_gradient(rows, 1u, n + 4u, sums.right[1]);
    store_hidden_gradient(rows, 2u, n, sums.left[2]);
    store_hidden_gradient(rows, 2u, n + 4u, sums.right[2]);
    store_hidden_gradient(rows, 3u, n, sums.left[3]);
    store_hidden_gradient(rows, 3u, n + 4u, sums.right[3]);
  }
  if (!has_result) { return; }
  for (var n = 0u; n < params.width; n += 8u) {
    let sums = second_product(rows, n);
    store_input_gradient(rows, 0u, n, sums.left[0]);
    store_input_gradient(rows, 0u, n + 4u, sums.right[0]);
    store_input_gradient(rows, 1u, n, sums.left[1]);
    store_input_gradient(rows, 1u, n + 4u, sums.right[1]);
    store_input_gradient(rows, 2u, n, sums.left[2]);
    store_input_gradient(rows, 2u, n + 4u, sums.right[2]);
    store_input_gradient(rows, 3u, n, sums.left[3]);
    store_input_gradient(rows, 3u, n + 4u, sums.right[3]);
  }
}
