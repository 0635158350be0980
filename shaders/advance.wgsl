// counter = counter + 1, in place: what tells one run of a decoding program from the next.
//
//   counter  [1]

@group(0) @binding(0) var<storage, read_write> counter: array<u32>;

@compute @workgroup_size(1)
fn main() {
  counter[0] += 1u;
}
