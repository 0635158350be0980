// The queries' part of the gradients of attention within subgroups of 8: ∂query = ∂scores · key.
//
// It alone is a sum over what the lanes own: so here lanes own features, all of the block's keys, and ∂scores go round.
// Blocks of keys add to it in memory, in order.
//
// Continues attention-subgroup.wgsl, together with attention-subgroup-gradient.wgsl, which has the bindings.

// Four features of eight keys, a column each; and of all the block's.
struct Keys { lower: mat4x4f, upper: mat4x4f }
struct AllKeys { a: Keys, b: Keys, c: Keys, d: Keys }

// As plus_product, of features that the lane owns.
fn plus_features(sum: vec4f, m: mat4x4f, x: vec4f) -> vec4f {
  return fma(m[3], vec4f(x.w), fma(m[2], vec4f(x.z), fma(m[1], vec4f(x.y), fma(m[0], vec4f(x.x), sum))));
}

// A vector of a key, from where the first key has it.
fn key_vector(start: u32, key: u32) -> vec4f {
  return key_value[start + min(key, params.key_length - 1u) * (params.key_stride / 4u)];
}

fn four_keys(start: u32, first: u32) -> mat4x4f {
  return mat4x4f(
    key_vector(start, first), key_vector(start, first + 1u),
    key_vector(start, first + 2u), key_vector(start, first + 3u)
  );
}

fn eight_keys(start: u32, first: u32) -> Keys {
  return Keys(four_keys(start, first), four_keys(start, first + 4u));
}

fn all_keys(start: u32, first: u32) -> AllKeys {
  var keys: AllKeys;
  keys.a = eight_keys(start, first);
  keys.b = eight_keys(start, first + 8u);
  if (OWN > 2u) { keys.c = eight_keys(start, first + 16u); keys.d = eight_keys(start, first + 24u); }
  return keys;
}

fn plus_keys(sum: vec4f, keys: Keys, factor: f32) -> vec4f {
  return plus_features(plus_features(sum, keys.lower, four(factor, false)), keys.upper, four(factor, true));
}

// Adds to a vector of the gradient of query `row` of `rows`, or begins it; the first query's is at `at`.
fn add_to_query(at: u32, row: u32, rows: u32, is_first: bool, keys: AllKeys, gradients: Row) {
  let i = at + min(row, rows - 1u) * (params.query_stride / 4u);
  var sum = vec4f();
  if (is_self) { sum = select(key_value_gradient[i], vec4f(), is_first); }
  if (!is_self) { sum = select(query_gradient[i], vec4f(), is_first); }
  sum = plus_keys(plus_keys(sum, keys.a, gradients[0]), keys.b, gradients[1]);
  if (OWN > 2u) { sum = plus_keys(plus_keys(sum, keys.c, gradients[OWN - 2u]), keys.d, gradients[OWN - 1u]); }
  if (is_self && row < rows) { key_value_gradient[i] = sum; }
  if (!is_self && row < rows) { query_gradient[i] = sum; }
}

fn add_to_four(at: u32, row: u32, rows: u32, is_first: bool, keys: AllKeys, gradients: Rows) {
  add_to_query(at, row, rows, is_first, keys, gradients[0]);
  add_to_query(at, row + 1u, rows, is_first, keys, gradients[1]);
  add_to_query(at, row + 2u, rows, is_first, keys, gradients[2]);
  add_to_query(at, row + 3u, rows, is_first, keys, gradients[3]);
}
