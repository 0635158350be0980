// One AdamW update, in place, four parameters per invocation.
//
//   parameters, first_moment, second_moment  [count], overwritten
//   gradients      [count]
//   hyper          [8]  learning rate, 1 − beta1, 1 − beta2, epsilon, weight decay, bias correction
//                       sqrt(1 − beta2^t) / (1 − beta1^t), max norm (0 or less: no clipping), gradient scale
//                       (1 − beta, not beta: the difference made here from an f32 beta2 would be 1e-5 off)
//   norm           [1]  of `gradients` as they are here, before the gradient scale
//   decay_mask     [ceil(count / 64)]  factor on the weight decay of 64 consecutive parameters
//
// The form is that of Hugging Face's AdamW: epsilon is added to the square root of the *uncorrected* second
// moment, and weight decay is subtracted after the step, in proportion to the already updated parameter. With
// `decay_first` and epsilon · sqrt(1 − beta2^t) in place of epsilon it is PyTorch's.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(4) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> norm: array<f32>;
@group(0) @binding(7) var<storage, read> decay_mask: array<f32>;

override has_decay_mask: bool = false;
override decay_first: bool = false;

// min(x, 1) of x that is no less than 0, but a NaN shows: by its bits, because drivers may compile `x >= 1` to a
// min() that hides it.
fn at_most_one(x: f32) -> f32 {
  return select(x, 1.0, bitcast<u32>(x) - 0x3f800000u <= 0x40000000u);
}

// Factor on the gradient: its scale, and the clipping of the scaled norm. A NaN norm makes it NaN.
fn gradient_factor() -> f32 {
  let max_norm = hyper[6];
  let scale = hyper[7];
  if (max_norm <= 0.0) { return scale; }
  let clip = max_norm / (norm[0] * scale + 1e-6);
  return scale * at_most_one(clip);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (4u * i >= params.count) { return; }
  let learning_rate = hyper[0];
  let gradient = gradient_factor() * gradients[i];
  let m = (1.0 - hyper[1]) * first_moment[i] + hyper[1] * gradient;
  let v = (1.0 - hyper[2]) * second_moment[i] + hyper[2] * gradient * gradient;
  first_moment[i] = m;
  second_moment[i] = v;
  var decay = learning_rate * hyper[4];
  if (has_decay_mask) { decay *= decay_mask[i / 16u]; }
  let step = learning_rate * hyper[5] * m / (sqrt(v) + hyper[3]);
  let before = parameters[i];
  let stepped = before - step;
  parameters[i] = stepped - decay * select(stepped, before, decay_first);
}
