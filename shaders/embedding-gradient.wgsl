// Gradient of the table of an embedding: table_gradient[v] = Σ gradient[t] over the tokens t with id v.
//
//   ids             [tokens], taken as the nearest row where there is no such row
//   sorted          [tokens] of (id, token), by id and then by token
//   gradient        [tokens, columns]
//   table_gradient  [vocabulary, columns]
//
// `sort` finds each token's place by counting the tokens that come before it: tokens² comparisons, but one
// dispatch, no atomics, and stable, so that `sum` adds in a fixed order and gives the same bits every time.
// `sum` owns every element of the table's gradient, so rows of absent ids become zero without a fill.

alias Element = f32;
const WIDTH = 1u;

struct Params {
  tokens: u32,
  vocabulary: u32,
  // Elements per row.
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> sorted: array<vec2u>;
@group(0) @binding(3) var<storage, read> tokens_by_id: array<vec2u>;
@group(0) @binding(4) var<storage, read> gradient: array<Element>;
@group(0) @binding(5) var<storage, read_write> table_gradient: array<Element>;

fn row_of(token: u32) -> i32 {
  return clamp(ids[token], 0, i32(params.vocabulary) - 1);
}

// One invocation places four tokens, so that each id it loads serves four comparisons.
@compute @workgroup_size(64)
fn sort(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = 4 * (id.y * (workgroups.x * 64) + id.x);
  if (first >= params.tokens) { return; }
  let tokens = first + vec4u(0, 1, 2, 3);
  let last = params.tokens - 1;
  let rows = vec4i(
    row_of(first), row_of(min(first + 1, last)), row_of(min(first + 2, last)), row_of(min(first + 3, last))
  );
  var place = vec4u();
  for (var other = 0u; other < params.tokens; other++) {
    // Equal ids come before when their token does.
    let limits = rows + vec4i(vec4u(other) < tokens);
    place += vec4u(vec4i(row_of(other)) < limits);
  }
  for (var i = 0u; i < 4; i++) {
    if (tokens[i] < params.tokens) { sorted[place[i]] = vec2u(u32(rows[i]), tokens[i]); }
  }
}

// The first place whose id is at least `row`.
fn lower_bound(row: u32) -> u32 {
  var low = 0u;
  var high = params.tokens;
  while (low < high) {
    let middle = (low + high) / 2;
    if (tokens_by_id[middle].x < row) { low = middle + 1; } else { high = middle; }
  }
  return low;
}

fn gradient_at(place: u32, column: u32) -> Element {
  return gradient[tokens_by_id[place].y * params.columns + column];
}

@compute @workgroup_size(64)
fn sum(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = id.y * (workgroups.x * 64) + id.x;
  let row = index / params.columns;
  if (row >= params.vocabulary) { return; }
  let column = index % params.columns;
  var total = Element();
  var place = lower_bound(row);
  if (place < params.tokens && tokens_by_id[place].x == row) {
    let end = lower_bound(row + 1);
    // Four at a time: the loads of a frequent id (padding) must not wait for one another.
    for (; place + 4 <= end; place += 4) {
      total += (gradient_at(place, column) + gradient_at(place + 1, column)) +
        (gradient_at(place + 2, column) + gradient_at(place + 3, column));
    }
    for (; place < end; place++) { total += gradient_at(place, column); }
  }
  table_gradient[index] = total;
}
