import type { Gpu } from "../gpu/device.ts";
import type { Variable } from "../graph/leaves.ts";
import type { DType, Shape } from "../graph/tensor.ts";
import { createVariable } from "../graph/variables.ts";

/** Variables that are given back together. */
export class VariableSet {
  readonly #variables: Variable[] = [];

  constructor(readonly gpu: Gpu) {}

  /** A new variable, all zeros. */
  create(name: string, shape: Shape, dtype: DType = "f32"): Variable {
    const variable = createVariable(this.gpu, name, shape, dtype);
    this.#variables.push(variable);
    return variable;
  }

  /** Gives all their memory back. */
  destroy(): void {
    for (const { buffer } of this.#variables) buffer.destroy();
  }
}
