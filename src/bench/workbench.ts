/**
 * Operands on the device, and programs timed on them.
 *
 * Operands are variables: a program on them has no inputs, so nothing is uploaded between runs.
 */

import { Random } from "../data/random.ts";
import type { Gpu } from "../gpu/device.ts";
import { compile, type ProgramDescription } from "../graph/compile.ts";
import { read, type Variable } from "../graph/leaves.ts";
import type { HostArray } from "../graph/program.ts";
import { type DType, type Shape, size, type Tensor } from "../graph/tensor.ts";
import { createVariable, writeVariable } from "../graph/variables.ts";
import { type Effort, measure, type Spread } from "./measure.ts";

/** See the module's header. */
export class Workbench {
  readonly #variables: Variable[] = [];

  constructor(readonly gpu: Gpu) {}

  /** An operand of random numbers in [-scale, scale), the same ones for a name. */
  floats(name: string, shape: Shape, scale = 1): Tensor {
    const random = new Random(0, "bench", name);
    const values = Float32Array.from(
      { length: size(shape) },
      () => scale * (2 * random.float() - 1),
    );
    return this.operand(name, shape, "f32", values);
  }

  /** An operand of random ids from 1 to `limit`, not included. */
  ids(name: string, shape: Shape, limit: number): Tensor {
    const random = new Random(0, "bench", name);
    const values = Int32Array.from(
      { length: size(shape) },
      () => 1 + random.integer(limit - 1),
    );
    return this.operand(name, shape, "i32", values);
  }

  /** An operand of given values. */
  operand(name: string, shape: Shape, dtype: DType, values: HostArray): Tensor {
    const variable = createVariable(this.gpu, name, shape, dtype);
    this.#variables.push(variable);
    writeVariable(this.gpu, variable, values);
    return read(variable);
  }

  /** Milliseconds of one run of a graph on operands of this bench. */
  async time(description: ProgramDescription, effort: Effort): Promise<Spread> {
    const { gpu } = this;
    const program = await compile(gpu, description);
    const times = await measure(async (repeat) => {
      program.submit({}, { repeat });
      await gpu.device.queue.onSubmittedWorkDone();
      gpu.assertHealthy("measuring");
    }, effort);
    program.destroy();
    return times;
  }

  /** Gives the operands' memory back. */
  destroy(): void {
    for (const { buffer } of this.#variables) buffer.destroy();
    this.#variables.length = 0;
  }
}
