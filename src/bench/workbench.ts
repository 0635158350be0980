/**
 * Operands on the device, and work timed on them.
 *
 * Operands are variables: a program on them has no inputs, so nothing is uploaded between runs.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { read, type Variable } from "../graph/leaves.ts";
import type { HostArray } from "../graph/program.ts";
import { type DType, type Shape, size, type Tensor } from "../graph/tensor.ts";
import { createVariable, writeVariable } from "../graph/variables.ts";
import { randomFloats, randomIds } from "./inputs.ts";
import { type Clock, type Effort, measure, type Timing } from "./measure.ts";

/** See the module's header. */
export class Workbench {
  readonly #variables: Variable[] = [];

  constructor(readonly gpu: Gpu) {}

  /** An f32 operand of random numbers in [-scale, scale). */
  floats(name: string, shape: Shape, scale = 1): Tensor {
    return this.operand(name, shape, randomFloats(name, size(shape), scale));
  }

  /** An i32 operand of random numbers from 0 up to, not including, `limit`. */
  ids(name: string, shape: Shape, limit: number): Tensor {
    return this.operand(name, shape, randomIds(name, size(shape), limit), "i32");
  }

  /** An operand of given values. */
  operand(name: string, shape: Shape, values: HostArray, dtype: DType = "f32"): Tensor {
    const variable = createVariable(this.gpu, name, shape, dtype);
    this.#variables.push(variable);
    writeVariable(this.gpu, variable, values);
    return read(variable);
  }

  /** Milliseconds in which `results`, computed from operands of this bench, are made once. */
  async time(results: readonly Tensor[], effort: Effort, clock: Clock): Promise<Timing> {
    const { gpu } = this;
    const program = await compile(gpu, { outputs: {}, effects: results });
    const times = await measure(
      async (repeat) => {
        program.submit({}, { repeat });
        await gpu.device.queue.onSubmittedWorkDone();
        gpu.assertHealthy("measuring");
      },
      effort,
      clock,
    );
    program.destroy();
    return times;
  }

  /** Gives the operands' memory back. */
  destroy(): void {
    for (const { buffer } of this.#variables) buffer.destroy();
    this.#variables.length = 0;
  }
}
