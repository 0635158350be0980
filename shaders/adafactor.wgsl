// One Adafactor update (Shazeer & Stern 2018, in Hugging Face's form) of all tensors of a slab, in place.
//
//   parameters    [slab], overwritten; a tensor is [matrices, rows, columns], or a vector
//   first_moment  [slab], overwritten; only with has_first_moment
//   moments       second moments, overwritten: for every row and every column of a matrix the running mean
//                 of its squared gradients, for a vector that of every element
//   gradients     [slab]
//   hyper         [4]  learning rate, 1 − beta2 of this update, max norm (0 or less: no clipping),
//                      gradient scale
//   norm          [1]  of all gradients as they are here, before the gradient scale
//   plan          tables of `planAdafactor`: which tensor a workgroup works on, and where its things lie
//   partials      sums of squares of tiles, per row and per column; sums of chunks; step sizes
//   line_factors  1 / sqrt of the moments of rows, relative to their mean, and of columns
//
// Six dispatches serve all tensors: `sums` over tiles of 64 × 64 elements, `moments_of_lines` over 64 rows
// or columns, `row_factors_of_matrix`, then `measure` over chunks of 4096 elements, `steps` over tensors
// and `apply` over chunks. An element's share of its tensor's root mean square needs all moments first, and
// the update itself that root mean square, so the gradients are read three times.
//
// Invariant: every sum is taken in an order that depends on the shapes alone. What lies between tensors is
// zero in `parameters` and `gradients` and stays so. Tensors without a gradient stay as they are.

struct Params {
  // Where the tables begin in `plan`, and how many entries this dispatch's has.
  tensors: u32,
  first: u32,
  count: u32,
  // Where sums and steps begin in `partials`.
  chunk_sums: u32,
  step_sizes: u32,
  // Added to squared gradients; least root mean square of a tensor that scales the step.
  gradient_epsilon: f32,
  parameter_epsilon: f32,
  clip_threshold: f32,
  weight_decay: f32,
  beta1: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> moments: array<f32>;
@group(0) @binding(4) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> norm: array<f32>;
@group(0) @binding(7) var<storage, read> plan: array<vec4u>;
@group(0) @binding(8) var<storage, read_write> partials: array<f32>;
@group(0) @binding(9) var<storage, read_write> line_factors: array<f32>;

override has_first_moment: bool = false;
override scale_parameter: bool = false;

const GROUP = 64u;
// Rows and columns of a tile.
const TILE = 64u;
// Columns of a tile, four at a time.
const QUADS = 16u;
// Elements of a chunk.
const CHUNK = 4096u;

const FACTORED = 1u;
const HAS_GRADIENT = 2u;
const DECAYED = 4u;

struct Tensor {
  // Elements before the tensor in its slab, a multiple of 64, and in it.
  offset: u32,
  size: u32,
  rows: u32,
  columns: u32,
  flags: u32,
  matrices: u32,
  // In `moments`: of the rows of all matrices (of the elements of a vector), and of their columns.
  row_moments: u32,
  column_moments: u32,
  // In `partials`: [ceil(columns / 64), matrices · rows] and [ceil(rows / 64), matrices · columns].
  row_partials: u32,
  column_partials: u32,
  // In `line_factors`; that of columns is a multiple of 4.
  row_factors: u32,
  column_factors: u32,
  first_chunk: u32,
  chunks: u32,
}

fn tensor_at(index: u32) -> Tensor {
  let at = params.tensors + 4u * index;
  let a = plan[at];
  let b = plan[at + 1u];
  let c = plan[at + 2u];
  let d = plan[at + 3u];
  return Tensor(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z, c.w, d.x, d.y);
}

// min(x, 1) of x that is no less than 0, but a NaN shows: by its bits, because drivers may compile `x >= 1` to a
// min() that hides it.
fn at_most_one(x: f32) -> f32 {
  return select(x, 1.0, bitcast<u32>(x) - 0x3f800000u <= 0x40000000u);
}

// Factor on the gradient: its scale, and the clipping of the scaled norm. A NaN norm makes it NaN.
fn gradient_factor() -> f32 {
  let max_norm = hyper[2];
  let scale = hyper[3];
  if (max_norm <= 0.0) { return scale; }
  let clip = max_norm / (norm[0] * scale + 1e-6);
  return scale * at_most_one(clip);
}

// Gradients `first` to `first + 3` of the slab, those from `end` on as zeros.
fn gradients_from(first: u32, end: u32) -> vec4f {
  if (first % 4u == 0u && first + 4u <= end) { return gradients[first / 4u]; }
  var values = vec4f();
  for (var i = 0u; i < 4u && first + i < end; i++) {
    values[i] = gradients[(first + i) / 4u][(first + i) % 4u];
  }
  return values;
}

var<workgroup> lanes: array<vec4f, GROUP>;

// Sums of squared gradients over the rows and over the columns of a tile.
@compute @workgroup_size(GROUP)
fn sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let tile = plan[params.first + index];
  let tensor = tensor_at(tile.x);
  if ((tensor.flags & HAS_GRADIENT) == 0u) { return; }
  let matrix = tile.y;
  let first_row = tile.z;
  let first_column = tile.w;
  let last_row = min(first_row + TILE, tensor.rows);
  let factor = gradient_factor();
  // Element (row, column) of this matrix is at base + row · columns + column.
  let base = tensor.offset + matrix * tensor.rows * tensor.columns;

  // Four lanes share four columns.
  let column = first_column + 4u * (lane % QUADS);
  var sum = vec4f();
  if (column < tensor.columns) {
    for (var row = first_row + lane / QUADS; row < last_row; row += GROUP / QUADS) {
      let start = base + row * tensor.columns;
      let values = factor * gradients_from(start + column, start + tensor.columns);
      sum += values * values;
    }
  }
  lanes[lane] = sum;
  workgroupBarrier();
  if (lane < QUADS) {
    sum = (lanes[lane] + lanes[lane + 16u]) + (lanes[lane + 32u] + lanes[lane + 48u]);
    let at = tensor.column_partials +
      ((first_row / TILE) * tensor.matrices + matrix) * tensor.columns + column;
    for (var i = 0u; i < 4u && column + i < tensor.columns; i++) { partials[at + i] = sum[i]; }
  }

  // Each lane has a row; the tile is in the cache by now.
  let row = first_row + lane;
  if (row >= last_row) { return; }
  let start = base + row * tensor.columns;
  let end = min(first_column + TILE, tensor.columns);
  var squares = vec4f();
  for (var i = first_column; i < end; i += 4u) {
    let values = factor * gradients_from(start + i, start + tensor.columns);
    squares += values * values;
  }
  let at = tensor.row_partials +
    ((first_column / TILE) * tensor.matrices + matrix) * tensor.rows + row;
  partials[at] = (squares.x + squares.y) + (squares.z + squares.w);
}

// The running means of rows (kind 0) or columns (kind 1), one a lane, and the columns' factors.
@compute @workgroup_size(GROUP)
fn moments_of_lines(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let entry = plan[params.first + index];
  let tensor = tensor_at(entry.x);
  let is_column = entry.y == 1u;
  let line = entry.z + lane;
  let length = select(tensor.columns, tensor.rows, is_column);
  let lines = tensor.matrices * select(tensor.rows, tensor.columns, is_column);
  if ((tensor.flags & HAS_GRADIENT) == 0u || line >= lines) { return; }
  let parts = (length + TILE - 1u) / TILE;
  var at = select(tensor.row_partials, tensor.column_partials, is_column) + line;
  var sum = 0.0;
  for (var part = 0u; part < parts; part++) {
    sum += partials[at];
    at += lines;
  }
  let mean = sum / f32(length) + params.gradient_epsilon;
  let moment = select(tensor.row_moments, tensor.column_moments, is_column) + line;
  let updated = (1.0 - hyper[1]) * moments[moment] + hyper[1] * mean;
  moments[moment] = updated;
  if (is_column) { line_factors[tensor.column_factors + line] = inverseSqrt(updated); }
}

var<workgroup> scalars: array<vec2f, GROUP>;

// The sum of a value over the workgroup; only lane 0 may use it.
fn workgroup_sum(lane: u32, value: vec2f) -> vec2f {
  scalars[lane] = value;
  workgroupBarrier();
  var sum = value;
  if (lane == 0u) {
    for (var other = 1u; other < GROUP; other++) { sum += scalars[other]; }
  }
  return sum;
}

// The factors of a matrix's rows, whose moments are relative to their mean.
@compute @workgroup_size(GROUP)
fn row_factors_of_matrix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let entry = plan[params.first + index];
  let tensor = tensor_at(entry.x);
  let first = entry.y * tensor.rows;
  var sum = 0.0;
  for (var row = lane; row < tensor.rows; row += GROUP) {
    sum += moments[tensor.row_moments + first + row];
  }
  let total = workgroup_sum(lane, vec2f(sum, 0.0));
  if (lane == 0u) { scalars[0] = total; }
  workgroupBarrier();
  let mean = scalars[0].x / f32(tensor.rows);
  for (var row = lane; row < tensor.rows; row += GROUP) {
    line_factors[tensor.row_factors + first + row] =
      inverseSqrt(moments[tensor.row_moments + first + row] / mean);
  }
}

// The same memory, for the dispatches that read it.
@group(0) @binding(9) var<storage, read> factors_of_lines: array<vec4f>;

// Factors on the gradients of four elements of a tensor, from `first` on; 0 beyond its end.
fn factors(tensor: Tensor, first: u32) -> vec4f {
  var result = vec4f();
  if ((tensor.flags & FACTORED) == 0u) {
    for (var i = 0u; i < 4u && first + i < tensor.size; i++) {
      result[i] = inverseSqrt(moments[tensor.row_moments + first + i]);
    }
    return result;
  }
  var row = first / tensor.columns;
  var column = first % tensor.columns;
  if (tensor.columns % 4u == 0u) {
    // All four in one row.
    let of_row = tensor.row_factors + row;
    var of_column = tensor.column_factors + column;
    if (tensor.matrices > 1u) { of_column += (row / tensor.rows) * tensor.columns; }
    return factors_of_lines[of_row / 4u][of_row % 4u] * factors_of_lines[of_column / 4u];
  }
  for (var i = 0u; i < 4u && first + i < tensor.size; i++) {
    let of_row = tensor.row_factors + row;
    let of_column = tensor.column_factors + (row / tensor.rows) * tensor.columns + column;
    result[i] = factors_of_lines[of_row / 4u][of_row % 4u] *
      factors_of_lines[of_column / 4u][of_column % 4u];
    column++;
    if (column == tensor.columns) {
      column = 0u;
      row++;
    }
  }
  return result;
}

// Sums of squares over a chunk: of the unscaled update, and of the parameters. Moves a vector's moments.
@compute @workgroup_size(GROUP)
fn measure(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let chunk = plan[params.first + index];
  let tensor = tensor_at(chunk.x);
  if ((tensor.flags & HAS_GRADIENT) == 0u) { return; }
  let factor = gradient_factor();
  let end = min(chunk.y + CHUNK, tensor.size);
  var squares = vec4f();
  var parameter_squares = vec4f();
  for (var first = chunk.y + 4u * lane; first < end; first += 4u * GROUP) {
    let at = (tensor.offset + first) / 4u;
    let gradient = factor * gradients[at];
    if ((tensor.flags & FACTORED) == 0u) {
      for (var i = 0u; i < 4u && first + i < end; i++) {
        let moment = tensor.row_moments + first + i;
        let square = gradient[i] * gradient[i] + params.gradient_epsilon;
        moments[moment] = (1.0 - hyper[1]) * moments[moment] + hyper[1] * square;
      }
    }
    let update = factors(tensor, first) * gradient;
    squares += update * update;
    if (scale_parameter) { parameter_squares += parameters[at] * parameters[at]; }
  }
  let ones = vec4f(1.0);
  let sum = workgroup_sum(lane, vec2f(dot(squares, ones), dot(parameter_squares, ones)));
  if (lane == 0u) {
    partials[params.chunk_sums + 2u * index] = sum.x;
    partials[params.chunk_sums + 2u * index + 1u] = sum.y;
  }
}

// A tensor's step: the factor on its gradients times their factors, and that on the parameters for decay.
@compute @workgroup_size(GROUP)
fn steps(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let tensor = tensor_at(index);
  var sum = vec2f();
  for (var chunk = lane; chunk < tensor.chunks; chunk += GROUP) {
    let at = params.chunk_sums + 2u * (tensor.first_chunk + chunk);
    sum += vec2f(partials[at], partials[at + 1u]);
  }
  let total = workgroup_sum(lane, sum);
  if (lane != 0u) { return; }
  let root_mean_square = sqrt(total / f32(tensor.size));
  var learning_rate = hyper[0];
  if (scale_parameter) {
    learning_rate *= max(params.parameter_epsilon, root_mean_square.y);
  }
  // What is no less than 0 is ordered as its bits are, and a NaN is above all: max() might answer it with 1.
  let excess = root_mean_square.x / params.clip_threshold;
  let clips = bitcast<u32>(excess) > 0x3f800000u;
  let decays = (tensor.flags & DECAYED) != 0u;
  partials[params.step_sizes + 2u * index] =
    gradient_factor() * learning_rate / select(1.0, excess, clips);
  partials[params.step_sizes + 2u * index + 1u] =
    select(0.0, learning_rate * params.weight_decay, decays);
}

// Decays and moves the parameters of a chunk.
@compute @workgroup_size(GROUP)
fn apply(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= params.count) { return; }
  let chunk = plan[params.first + index];
  let tensor = tensor_at(chunk.x);
  if ((tensor.flags & HAS_GRADIENT) == 0u) { return; }
  let step = partials[params.step_sizes + 2u * chunk.x];
  let decay = partials[params.step_sizes + 2u * chunk.x + 1u];
  let end = min(chunk.y + CHUNK, tensor.size);
  for (var first = chunk.y + 4u * lane; first < end; first += 4u * GROUP) {
    let at = (tensor.offset + first) / 4u;
    var update = step * (factors(tensor, first) * gradients[at]);
    if (has_first_moment) {
      update = params.beta1 * first_moment[at] + (1.0 - params.beta1) * update;
      first_moment[at] = update;
    }
    let before = parameters[at];
    parameters[at] = (before - decay * before) - update;
  }
}
