// Root mean square norm (Zhang & Sennrich 2019, eq. 4): normalized = x · rstd · scale,
// rstd = 1 / sqrt(mean(x²) + epsilon), and its gradient with respect to x.
//
//   x, normalized, gradient, input_gradient  [rows, columns]
//   residual                                 as x, added to input_gradient if has_residual
//   dropped                                  for vectors only, if has_dropout: input_gradient after dropout, or
//                                            normalized, which then is not written
//   seed                                     [2], of dropout
//   scale                                    [columns]
//   rstd                                     [rows]
//
// A row belongs to `lanes` invocations of a workgroup. One lane on CPU adapters, where barriers cost more
// than a strided read; as many as the row fills on GPUs, where neighbours must read neighbours. The order
// of the additions depends on the row's length and `lanes` alone.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  rows: u32,
  // Elements per row.
  columns: u32,
  epsilon: f32,
  // Of dropout.wgsl.
  dropout_site: u32,
  dropout_rate: f32,
  kept_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> scale: array<Element>;
@group(0) @binding(3) var<storage, read_write> normalized: array<Element>;
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(5) var<storage, read> forward_rstd: array<f32>;
@group(0) @binding(6) var<storage, read> gradient: array<Element>;
@group(0) @binding(7) var<storage, read_write> input_gradient: array<Element>;
@group(0) @binding(8) var<storage, read> residual: array<Element>;
@group(0) @binding(9) var<storage, read> seed: array<u32>;
@group(0) @binding(10) var<storage, read_write> dropped: array<vec4f>;

// Invocations per row: a power of two, at most 64.
override lanes: u32 = 1;
override has_residual: bool = false;
override has_dropout: bool = false;

var<workgroup> totals: array<f32, 64>;

// The mean over a row, from each of its lanes' sum. All invocations of the workgroup must come here.
fn row_mean(sum: Element, local: u32) -> f32 {
  // A scalar is spread over the four summands, a vector fills them.
  let own = dot(vec4f(sum), vec4f(0.25 * f32(WIDTH)));
  let length = f32(params.columns * WIDTH);
  if (lanes == 1) { return own / length; }
  totals[local] = own;
  for (var distance = lanes / 2; distance > 0; distance /= 2) {
    workgroupBarrier();
    if (local % lanes < distance) { totals[local] += totals[local + distance]; }
  }
  workgroupBarrier();
  return totals[local - local % lanes] / length;
}

// What dropout multiplies four elements by, as in dropout.wgsl.
fn kept(element: vec4u) -> vec4f {
  var x = element * 1664525u + 1013904223u;
  var y = vec4u((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = vec4u(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  return select(vec4f(), vec4f(params.kept_scale), uniform_numbers >= vec4f(params.dropout_rate));
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * workgroups.x + group.x) * (64 / lanes) + local / lanes;
  let lane = local % lanes;
  // Lanes past the last row do its work again, up to the barrier, and then store nothing.
  let start = min(row, params.rows - 1) * params.columns;
  var squares = Element();
  for (var column = lane; column < params.columns; column += lanes) {
    let value = x[start + column];
    squares += value * value;
  }
  let row_rstd = inverseSqrt(row_mean(squares, local) + params.epsilon);
  if (row >= params.rows) { return; }
  for (var column = lane; column < params.columns; column += lanes) {
    let index = start + column;
    let value = x[index] * row_rstd * scale[column];
    if (has_dropout) { dropped[index] = vec4f(value) * kept(4 * index + vec4u(0, 1, 2, 3)); }
    if (!has_dropout) { normalized[index] = value; }
  }
  if (lane == 0) { rstd[row] = row_rstd; }
}

@compute @workgroup_size(64)
fn backward_input(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group.y * workgroups.x + group.x) * (64 / lanes) + local / lanes;
  let lane = local % lanes;
  let start = min(row, params.rows - 1) * params.columns;
  let row_rstd = forward_rstd[min(row, params.rows - 1)];
  // Products of x̂ = x · rstd, which has mean square 1, so that neither tiny nor huge x overflow here.
  var products = Element();
  for (var column = lane; column < params.columns; column += lanes) {
    let index = start + column;
    products += gradient[index] * scale[column] * (x[index] * row_rstd);
  }
  let projection = row_mean(products, local);
  if (row >= params.rows) { return; }
  for (var column = lane; column < params.columns; column += lanes) {
    let index = start + column;
    let along = x[index] * row_rstd * projection;
    var sum = (gradient[index] * scale[column] - along) * row_rstd;
    if (has_residual) { sum += residual[index]; }
    input_gradient[index] = sum;
    if (has_dropout) { dropped[index] = vec4f(sum) * kept(4 * index + vec4u(0, 1, 2, 3)); }
  }
}
