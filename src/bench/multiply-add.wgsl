// Multiplies and adds in registers and does hardly anything else: the adapter's arithmetic ceiling.
//
//   factor, summand  f32 [1], unknown to the compiler, so that nothing is computed in advance
//   result           vec4f [invocations]
//
// Sixteen sums that do not wait for one another hide the latency of the multiplier on every adapter
// tried, and still fit a CPU's registers.

override rounds: u32;

@group(0) @binding(0) var<storage, read> factor: array<f32>;
@group(0) @binding(1) var<storage, read> summand: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = vec4f(factor[0]);
  let s = vec4f(summand[0]);
  var a = vec4f(0.0);
  var b = vec4f(1.0);
  var c = vec4f(2.0);
  var d = vec4f(3.0);
  for (var i = 0u; i < rounds; i++) {
    // Four at a time, so that counting costs little.
    a = fma(a, m, s);
    b = fma(b, m, s);
    c = fma(c, m, s);
    d = fma(d, m, s);
    a = fma(a, m, s);
    b = fma(b, m, s);
    c = fma(c, m, s);
    d = fma(d, m, s);
    a = fma(a, m, s);
    b = fma(b, m, s);
    c = fma(c, m, s);
    d = fma(d, m, s);
    a = fma(a, m, s);
    b = fma(b, m, s);
    c = fma(c, m, s);
    d = fma(d, m, s);
  }
  result[id.x] = a + b + c + d;
}
