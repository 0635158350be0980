// Copies `source` to `result`, 64 bytes an invocation: the adapter's memory ceiling.
//
//   source, result  vec4f [4 * invocations]
//
// Neighbours in a workgroup read neighbouring vectors, so that GPUs move whole cache lines.

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 256u + lane;
  result[first] = source[first];
  result[first + 64u] = source[first + 64u];
  result[first + 128u] = source[first + 128u];
  result[first + 192u] = source[first + 192u];
}
