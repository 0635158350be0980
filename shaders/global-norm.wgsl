// Euclidean norm over all elements of several tensors: result = sqrt(Σ x²).
//
//   values    [count]             one of the tensors
//   partials  [partial_count, 4]  sums of squares, a part for each tensor
//   result    [1]
//
// Invariant: which elements add up in which partial sum, and in which order, depends on the sizes alone:
// `sum_squares` runs once per tensor with a stride of all its invocations (neighbours read neighbouring
// elements), then one workgroup of `finish` adds the partial sums. NaN and infinity come through.

struct Params {
  count: u32,
  // Where this tensor's partial sums begin, and how many there are (in `finish`: of all tensors).
  partial_offset: u32,
  partial_count: u32,
}

const GROUP = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(GROUP)
fn sum_squares(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.partial_count) { return; }
  var sum = vec4f();
  let whole = params.count / 4u;
  for (var i = id.x; i < whole; i += params.partial_count) {
    sum += values[i] * values[i];
  }
  if (whole % params.partial_count == id.x) {
    // The elements after the last whole four; beyond them the binding holds another's bytes.
    for (var i = 0u; i < params.count % 4u; i++) { sum[i] += values[whole][i] * values[whole][i]; }
  }
  partials[params.partial_offset + id.x] = sum;
}

@group(0) @binding(1) var<storage, read> all_partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

var<workgroup> lanes: array<vec4f, GROUP>;

@compute @workgroup_size(GROUP)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f();
  for (var i = lane; i < params.partial_count; i += GROUP) { sum += all_partials[i]; }
  lanes[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  for (var other = 1u; other < GROUP; other++) { sum += lanes[other]; }
  result[0] = sqrt((sum.x + sum.y) + (sum.z + sum.w));
}
