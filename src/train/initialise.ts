/**
 * New values for parameters, each from a random stream of its own: adding or freezing one parameter
 * does not change another.
 */

import type { Initialiser, ParameterSpecification } from "../../models/inventory.ts";
import { Random } from "../data/random.ts";
import { size } from "../graph/tensor.ts";

/** Draws a parameter. The same seed and name always give the same values. */
export function drawParameter(
  { name, shape, initialiser }: ParameterSpecification,
  seed: number,
): Float32Array {
  const values = new Float32Array(size(shape));
  const random = new Random(seed, "parameter", name);
  const draw = sampler(initialiser, random);
  for (let i = 0; i < values.length; i++) values[i] = draw();
  return values;
}

function sampler(initialiser: Initialiser, random: Random): () => number {
  switch (initialiser.kind) {
    case "constant":
      return () => initialiser.value;
    case "normal":
      return () => initialiser.deviation * random.normal();
    case "uniform":
      return () => initialiser.bound * (2 * random.float() - 1);
  }
}
