// Linear layers of a step of decoding, with the RMS norm before them and the gate or residual after them.
//
//   x         [rows, depth]
//   scale     [depth], of the norm                            read only if has_norm
//   w0 … w2   [columns, depth], a Linear layer's weights: the first `parts` are read
//   residual  [rows, columns]                                 read only if has_residual
//   result    [rows, parts · columns], or [rows, columns] if has_gate
//
//   y_p = norm(x) · w_pᵀ;  result = y_0 | y_1 | y_2,  or gelu(y_0) · y_1,  or y_0 + residual
//
// For GPUs, where a step waits for its weights: each is read once for up to eight rows. A workgroup has four columns of
// every part; sixteen neighbours read one row of a weight together, 256 bytes at a time, and the rows of x from the
// cache. They sum up the squares that the norm needs as these come by: 1 / rms is a factor of finished sums, which
// meet in workgroup memory and are added in a fixed order.
//
// Invariant: depth is a multiple of 4. Every load is clamped into its tensor, every store is guarded.

struct Params {
  rows: u32,
  columns: u32,
  // Vectors of four in a row of x.
  vectors: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<vec4f>;
@group(0) @binding(3) var<storage, read> w0: array<vec4f>;
@group(0) @binding(4) var<storage, read> w1: array<vec4f>;
@group(0) @binding(5) var<storage, read> w2: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;

override parts: u32 = 1;
override has_norm: bool = false;
override has_gate: bool = false;
override has_residual: bool = false;

// Replaced when the shader is specialised: rows of a workgroup, 1, 2, 4 or 8.
const BLOCK_ROWS = 8u;
const COLUMNS = 4u;
// Invocations that share a column.
const LANES = 16u;

// Of every invocation and row: a sum for each part, and the row's squares.
var<workgroup> partials: array<vec4f, 512>;

// All reads of weights: where one is stored in halves, the host writes its binding and its read anew.
fn w0_at(i: u32) -> vec4f { return w0[i]; }
fn w1_at(i: u32) -> vec4f { return w1[i]; }
fn w2_at(i: u32) -> vec4f { return w2[i]; }

// gelu(x), the tanh form (Hendrycks & Gimpel 2016), as in gelu-gate.wgsl.
fn gelu(x: f32) -> f32 {
  let clamped = clamp(x, -10.0, 10.0);
  return x * (1.0 / (1.0 + exp(-1.5957691216057308 * clamped * (1.0 + 0.044715 * clamped * clamped))));
}

// Four features of a row, or of the last, by those of each part's weight and by themselves.
fn products(row: u32, k: u32, a: vec4f, b: vec4f, c: vec4f) -> vec4f {
  let values = x[min(row, params.rows - 1) * params.vectors + k];
  return vec4f(dot(values, a), dot(values, b), dot(values, c), dot(values, values));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let number = group.y * workgroups.x + group.x;
  // Blocks of rows that read the same weights come one after the other.
  let blocks_down = (params.rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
  let first_row = number % blocks_down * BLOCK_ROWS;
  let first_column = number / blocks_down * COLUMNS;
  if (first_column >= params.columns) { return; }
  let weights = min(first_column + local / LANES, params.columns - 1) * params.vectors;

  var sums: array<vec4f, 8>;
  for (var k = local % LANES; k < params.vectors; k += LANES) {
    var scales = vec4f(1.0);
    if (has_norm) { scales = scale[k]; }
    let a = w0_at(weights + k) * scales;
    var b = vec4f();
    var c = vec4f();
    if (parts > 1) { b = w1_at(weights + k) * scales; }
    if (parts > 2) { c = w2_at(weights + k) * scales; }
    // Not a loop: its guard against running forever would let every load wait for the one before.
    sums[0] += products(first_row, k, a, b, c);
    if (BLOCK_ROWS > 1) { sums[1] += products(first_row + 1, k, a, b, c); }
    if (BLOCK_ROWS > 2) {
      sums[2] += products(first_row + 2, k, a, b, c);
      sums[3] += products(first_row + 3, k, a, b, c);
    }
    if (BLOCK_ROWS > 4) {
      sums[4] += products(first_row + 4, k, a, b, c);
      sums[5] += products(first_row + 5, k, a, b, c);
      sums[6] += products(first_row + 6, k, a, b, c);
      sums[7] += products(first_row + 7, k, a, b, c);
    }
  }
  for (var r = 0u; r < BLOCK_ROWS; r++) { partials[local * BLOCK_ROWS + r] = sums[r]; }
  workgroupBarrier();

  // One invocation for every row and column of the workgroup.
  let r = local / COLUMNS;
  let row = first_row + r;
  let column = first_column + local % COLUMNS;
  if (r >= BLOCK_ROWS || row >= params.rows || column >= params.columns) { return; }
  var sum = vec4f();
  for (var lane = 0u; lane < LANES; lane++) {
    sum += partials[(local % COLUMNS * LANES + lane) * BLOCK_ROWS + r];
  }
  let rstd = inverseSqrt(sum.w / f32(4 * params.vectors) + params.epsilon);
  let y = sum * select(1.0, rstd, has_norm);
  let i = row * params.columns + column;
  if (has_gate) { result[i] = gelu(y.x) * y.y; }
  if (has_residual) { result[i] = y.x + residual[i]; }
  if (!has_gate && !has_residual) {
    let start = row * parts * params.columns + column;
    result[start] = y.x;
    if (parts > 1) { result[start + params.columns] = y.y; }
    if (parts > 2) { result[start + 2 * params.columns] = y.z; }
  }
}
