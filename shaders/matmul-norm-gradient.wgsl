// Around a matrix product: the gradient of an RMS norm with respect to its input. The product is that of the
// gradient after it, a = ∂forward, by the weight w of the linear layer that follows the norm:
//
//   forward   = y · wᵀ, y = x · rstd · scale                             [m, k]
//   sums      = a · w = ∂y                                               [m, n], n the norm's width
//   result    = (∂y · scale − x · rstd · p) · rstd + residual
//   p         = mean over n of ∂y · y, the part of ∂y that points along y
//
// p needs a whole row of ∂y, of which a block has some columns. But Σ_n ∂y · y = Σ_n (Σ_k a · w) · y =
// Σ_k a · (Σ_n w · y) = Σ_k a · forward: a sum over k, which every block goes over anyway. So the norm's gradient needs
// no pass of its own, and ∂y is never in memory.
//
//   scale     [n] / 4, of the norm
//   rstd      [m], of the forward pass
//   forward   as a
//   x         as result: what was normalized
//   residual  as result, added to it if has_residual
//   dropped   as result: result after dropout, if has_dropout
//   seed      [2], of dropout
//
// Continues matmul-tiled.wgsl or matmul-subgroup.wgsl without their scalar bindings, together with
// matmul-dropout.wgsl, for one batch element of whole vec4s, an a [m, k] and a k that is not split. Ten storage
// buffers are bound, two more than every device has.

@group(0) @binding(1) var<storage, read> scale: array<vec4f>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(5) var<storage, read> forward: array<vec4f>;
@group(0) @binding(6) var<storage, read> x: array<vec4f>;
@group(0) @binding(7) var<storage, read> residual: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> dropped: array<vec4f>;
@group(0) @binding(10) var<storage, read> seed: array<u32>;

override has_residual: bool = false;
override has_dropout: bool = false;

const sums_squares = false;
const sums_products = true;

fn scale_at(k: u32) -> f32 { return 1.0; }
fn partner_vec4(i: u32) -> vec4f { return forward[i]; }
// p of every row.
fn row_statistics(sums: vec4f) -> vec4f { return sums / f32(params.n); }

fn prepare_epilogue() {
  if (has_dropout) { set_dropout_key(vec2u(seed[0], seed[1])); }
}

fn epilogue(sums: vec4f, p: f32, row: u32, i: vec4u, column: vec4u) -> vec4f {
  let row_rstd = rstd[row];
  let along = x[i.x / 4] * row_rstd * p;
  var values = (sums * scale[column.x / 4] - along) * row_rstd;
  if (has_residual) { values += residual[i.x / 4]; }
  if (has_dropout) { dropped[i.x / 4] = values * kept(i); }
  return values;
}
