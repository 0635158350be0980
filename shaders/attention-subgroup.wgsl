// What the attention kernels for CPU adapters with subgroups of 8 share; attention-subgroup-forward.wgsl and
// attention-subgroup-gradient.wgsl continue it.
//
//   query      [batch, query_length, query_stride], of which the first heads · head_size columns are the queries
//   key_value  [batch, key_length, key_stride], of which so many columns from key_offset on are the keys, and the
//              next as many the values; in self-attention the same buffer as query
//   table      [buckets, heads], position bias       read only if has_table
//   key_mask   [batch, key_length], 0 where masked   read only if has_key_mask
//   seed       [2]                                   read only if has_dropout
//
// A workgroup is one subgroup. Lane l owns rows l, l + 8 … of a block, which are queries forward and keys backward,
// with all their features and all their sums, and goes over the others eight at a time: each lane loads a different
// one, which subgroupBroadcast hands to the others. A load is a gather there and costs more than ten multiply-adds, a
// broadcast is one shuffle. So a load serves all rows of the block, and sums never leave their lane.
//
// Everything is written out, in numbers rather than arrays, because an index that is not a constant costs a gather
// too. Where a row does not exist, the last one stands for it. Chunks are initialised where a loop declares them:
// wgpu keeps what the last iteration left there, though WGSL says zeros.

// Replaced when the shader is specialised: chunks of 32 features of a head, 1 or 2, and queries, or keys, that a
// lane owns, 2 or 4. Types of 4 become types of 2 with it.
const CHUNKS = 1u;
const OWN = 4u;

// A number for each of the lane's own rows, and four of those.
alias Row = vec4f;
alias Rows = mat4x4f;
alias Turned = mat4x4f;
alias Numbers = vec4u;
alias Flags = vec4<bool>;

// Replaced too; see `bucket`. The host works distances out because the logarithm in them rounds differently between
// adapters.
const EXACT_DISTANCES = 1u;
const DIRECTION_BUCKETS = 2u;
const BIDIRECTIONAL = true;

struct Params {
  batch: u32,
  heads: u32,
  query_length: u32,
  key_length: u32,
  head_size: u32,
  mask_value: f32,
  dropout_rate: f32,
  dropout_site: u32,
  // Columns of the operands, and the keys' first.
  query_stride: u32,
  key_stride: u32,
  key_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key_value: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> key_mask: array<i32>;
@group(0) @binding(5) var<storage, read> seed: array<u32>;

override has_table: bool = false;
override has_key_mask: bool = false;
override has_dropout: bool = false;
override causal: bool = false;

const LOWEST = -3.4028234e38;

// Own rows by eight others.
struct Block { lower: Rows, upper: Rows }

// Own rows by 32 features.
struct Chunk { a: Rows, b: Rows, c: Rows, d: Rows, e: Rows, f: Rows, g: Rows, h: Rows }

fn own_numbers(first: u32) -> Numbers {
  var numbers = Numbers(first);
  numbers[1] += 8u;
  if (OWN > 2u) {
    numbers[OWN - 2u] += 16u;
    numbers[OWN - 1u] += 24u;
  }
  return numbers;
}

// Four features of own rows, from where their vectors lie.
fn features(at: Numbers) -> Rows {
  var own: Turned;
  own[0] = own_vector(at[0]);
  own[1] = own_vector(at[1]);
  if (OWN > 2u) {
    own[OWN - 2u] = own_vector(at[OWN - 2u]);
    own[OWN - 1u] = own_vector(at[OWN - 1u]);
  }
  return transpose(own);
}

fn chunk(at: Numbers) -> Chunk {
  return Chunk(
    features(at), features(at + 1u), features(at + 2u), features(at + 3u),
    features(at + 4u), features(at + 5u), features(at + 6u), features(at + 7u)
  );
}

fn store_features(values: Rows, at: Numbers, exist: Flags) {
  let own = transpose(values);
  if (exist[0]) { store_own_vector(at[0], own[0]); }
  if (exist[1]) { store_own_vector(at[1], own[1]); }
  if (OWN > 2u && exist[OWN - 2u]) { store_own_vector(at[OWN - 2u], own[OWN - 2u]); }
  if (OWN > 2u && exist[OWN - 1u]) { store_own_vector(at[OWN - 1u], own[OWN - 1u]); }
}

fn store_chunk(values: Chunk, at: Numbers, exist: Flags) {
  store_features(values.a, at, exist);
  store_features(values.b, at + 1u, exist);
  store_features(values.c, at + 2u, exist);
  store_features(values.d, at + 3u, exist);
  store_features(values.e, at + 4u, exist);
  store_features(values.f, at + 5u, exist);
  store_features(values.g, at + 6u, exist);
  store_features(values.h, at + 7u, exist);
}

// The vectors that lanes 0 … 3, or 4 … 7, have loaded; a column for each.
fn hand_round(mine: vec4f, upper: bool) -> mat4x4f {
  if (upper) {
    return mat4x4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u), subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return mat4x4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u), subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

// The numbers that lanes 0 … 3, or 4 … 7, have.
fn four(mine: f32, upper: bool) -> vec4f {
  if (upper) {
    return vec4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u), subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return vec4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u), subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

// sum + m · x, a chain of fused multiply-adds.
fn plus_product(sum: Row, m: Rows, x: vec4f) -> Row {
  return fma(m[3], Row(x.w), fma(m[2], Row(x.z), fma(m[1], Row(x.y), fma(m[0], Row(x.x), sum))));
}

fn plus_products(sums: Rows, m: Rows, x: mat4x4f) -> Rows {
  return Rows(
    plus_product(sums[0], m, x[0]), plus_product(sums[1], m, x[1]),
    plus_product(sums[2], m, x[2]), plus_product(sums[3], m, x[3])
  );
}

// The rows of the table for four positions relative to the query.
fn bucket(position: vec4i) -> vec4u {
  let distance = vec4u(max(-position, select(vec4i(), position, BIDIRECTIONAL)));
  // Replaced when the shader is specialised: a 1 for each further bucket of a direction that the distance reaches.
  let further = vec4u();
  let after = select(vec4u(), vec4u(DIRECTION_BUCKETS), (position > vec4i()) & vec4<bool>(BIDIRECTIONAL));
  return min(distance, vec4u(EXACT_DISTANCES)) + further + after;
}

fn four_biases(head: u32, position: vec4i) -> vec4f {
  let i = bucket(position) * params.heads + head;
  return vec4f(table[i.x], table[i.y], table[i.z], table[i.w]);
}

// Biases of own rows where the first row has `first` and the others have what the one before had.
fn moved_on(biases: Row, first: f32) -> Row {
  var row = biases;
  if (OWN > 2u) {
    row[OWN - 1u] = biases[OWN - 2u];
    row[OWN - 2u] = biases[1];
  }
  row[1] = biases[0];
  row[0] = first;
  return row;
}

fn four_moved_on(biases: Rows, first: vec4f) -> Rows {
  return Rows(
    moved_on(biases[0], first.x), moved_on(biases[1], first.y),
    moved_on(biases[2], first.z), moved_on(biases[3], first.w)
  );
}

// Which elements of [batch, heads, query_length, key_length] dropout keeps, times 1 / (1 − rate).
// The hash is pcg3d (Jarzynski & Olano 2020) of (element, site ^ seed[0], seed[1]), of which one word is used.
fn kept(element: Numbers) -> Row {
  var x = element * 1664525u + 1013904223u;
  var y = Numbers((params.dropout_site ^ seed[0]) * 1664525u + 1013904223u);
  var z = Numbers(seed[1] * 1664525u + 1013904223u);
  x += y * z; y += z * x; z += x * y;
  x ^= x >> Numbers(16u); y ^= y >> Numbers(16u); z ^= z >> Numbers(16u);
  x += y * z;
  let uniform_numbers = Row(x >> Numbers(8u)) * (1.0 / 16777216.0);
  return select(Row(), Row(1.0 / (1.0 - params.dropout_rate)), uniform_numbers >= Row(params.dropout_rate));
}
