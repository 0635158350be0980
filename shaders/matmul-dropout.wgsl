// The dropout of a matrix product's result, for the files that continue the product and do it: matmul-epilogue.wgsl
// and matmul-norm-gradient.wgsl, which know where the seed is.

// What does not differ between elements, set before the first of them is dropped.
var<private> dropout_key: vec2u;

fn set_dropout_key(seed: vec2u) {
  dropout_key = vec2u(params.dropout_site ^ seed.x, seed.y) * 1664525u + 1013904223u;
}

// What dropout multiplies elements of the result by, as in dropout.wgsl.
fn kept(element: vec4u) -> vec4f {
  var x = element * 1664525u + 1013904223u;
  var y = vec4u(dropout_key.x);
  var z = vec4u(dropout_key.y);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> vec4u(16u); y ^= y >> vec4u(16u); z ^= z >> vec4u(16u);
  x += y * z;
  let uniform_numbers = vec4f(x >> vec4u(8u)) * (1.0 / 16777216.0);
  return select(vec4f(), vec4f(params.kept_scale), uniform_numbers >= vec4f(params.dropout_rate));
}
