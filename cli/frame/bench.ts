/** Benchmarks as tables: aligned text for a terminal, Markdown for a file. */

import type { Ceilings } from "../../src/bench/ceilings.ts";
import type { GenerationResult } from "../../src/bench/generation.ts";
import type { BatchShape } from "../../src/bench/inputs.ts";
import type { Comparison } from "../../src/bench/jax.ts";
import type { KernelResult } from "../../src/bench/kernels.ts";
import type { Spread } from "../../src/bench/measure.ts";
import type { TrainingResult } from "../../src/bench/training.ts";
import { profileRows } from "./profile.ts";
import { table } from "./table.ts";

/** Whatever was measured. */
export interface BenchReport {
  /** The adapter and what it offers. */
  readonly adapter: string;
  /** The runtime and the system. */
  readonly runtime: string;
  readonly kernels?: { readonly ceilings: Ceilings; readonly cases: readonly KernelResult[] };
  readonly train?: TrainingResult;
  readonly generate?: readonly GenerationResult[];
  readonly peers?: readonly Comparison[];
}
