/**
 * Which of its candidates computes a matrix product on a device: the one that the tuner measured to be the
 * fastest for products like it or, without a tuner, the likeliest.
 */

import type { Gpu } from "../../gpu/device.ts";
import { read } from "../leaves.ts";
import { apply, type Dispatch, type DType, type Op, type Scratch, type Tensor } from "../tensor.ts";
import { type Tunable, tuningOf } from "../tuning.ts";
import { createVariable } from "../variables.ts";
import { type MatmulCandidate, matmulCandidates } from "./matmul-candidates.ts";
import { adapterOf, candidateDispatches } from "./matmul-dispatch.ts";
import type { MatmulOperand } from "./matmul-kernel.ts";
import { layoutOf, type MatmulProblem } from "./matmul-problem.ts";

/** How a and b are stored. */
type Storage = Readonly<Record<"a" | "b", DType>>;

const FLOATS: Storage = { a: "f32", b: "f32" };

/** The most candidates that are measured; the estimates leave out what is far worse. */
const MEASURED = 8;

/** The dispatches of a product; operands that it does not have may be missing. */
export function matmulDispatches(
  problem: MatmulProblem,
  operands: Readonly<Partial<Record<MatmulOperand, Tensor | Scratch>>>,
  gpu: Gpu,
): Dispatch[] {
  const storedAs = (memory: Tensor | Scratch | undefined) =>
    memory && "dtype" in memory ? memory.dtype : "f32";
  const storage = { a: storedAs(operands.a), b: storedAs(operands.b) };
  return candidateDispatches(problem, chosenCandidate(problem, gpu, storage), operands, gpu);
}

/** The candidate that computes a product on this device. */
export function chosenCandidate(
  problem: MatmulProblem,
  gpu: Gpu,
  storage: Storage = FLOATS,
): MatmulCandidate {
  const candidates = matmulCandidates(problem, adapterOf(gpu)).slice(0, MEASURED);
  const tuning = tuningOf(gpu);
  if (!tuning) return candidates[0];
  const name = tuning.choose(tunableProduct(problem, storage, candidates));
  return candidates.find((candidate) => candidate.name === name)!;
}

/** The product as the tuner sees it: sizes to the nearest power of two, and how operands are read. */
function tunableProduct(
  problem: MatmulProblem,
  storage: Storage,
  candidates: readonly MatmulCandidate[],
): Tunable {
  const { batch, m, n, k, transposeA, transposeB, layout } = problem;
  const sizes = [m, n, k].map(nearestPower).join("x");
  const reading = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
  const strided = layout ? " strided" : "";
  return {
    key: `matmul ${nearestPower(batch)} of ${sizes} ${reading} ${storage.a} ${storage.b}${strided}`,
    candidates: candidates.map(({ name }) => name),
    build(name, gpu) {
      const candidate = candidates.find((candidate) => candidate.name === name)!;
      // Without its epilogue, which is the same for all.
      const { epilogue: _, ...plain } = problem;
      const extents = extentsOf(plain);
      const operands = (["a", "b"] as const).map((side) =>
        createVariable(gpu, side, [extents[side]], storage[side])
      );
      const attributes = { problem: plain, candidate, length: extents.result };
      return { result: apply(trialOp, operands.map(read), attributes), operands };
    },
  };
}

interface TrialAttributes {
  readonly problem: MatmulProblem;
  readonly candidate: MatmulCandidate;
  readonly length: number;
}

const trialOp: Op<TrialAttributes> = {
  name: "trial of a product",
  halfInputs: [0, 1],
  shape: (_, { length }) => [{ shape: [length], dtype: "f32" }],
  kernel: ({ inputs: [a, b], outputs: [result], attributes: { problem, candidate } }, gpu) =>
    candidateDispatches(problem, candidate, { a, b, result }, gpu),
};

/** Elements of the operands and of the result, with what lies between their matrices. */
function extentsOf(problem: MatmulProblem): { a: number; b: number; result: number } {
  const { batch, m, n, k, transposeA, transposeB, aStride, bStride } = problem;
  const layout = layoutOf(problem);
  const { heads } = layout;
  const extent = (offset: number, strides: readonly number[], [rows, columns]: number[]) => {
    const [stride, headStride, rowStride] = strides;
    const groups = batch / heads;
    return offset + (groups - 1) * stride + (heads - 1) * headStride + (rows - 1) * rowStride +
      columns;
  };
  const { aHeadStride, aRowStride, bHeadStride, bRowStride } = layout;
  const { resultStride, resultHeadStride, resultRowStride } = layout;
  return {
    a: extent(
      layout.aOffset,
      [aStride, aHeadStride, aRowStride],
      transposeA ? [k, m] : [m, k],
    ),
    b: extent(
      layout.bOffset,
      [bStride, bHeadStride, bRowStride],
      transposeB ? [n, k] : [k, n],
    ),
    result: extent(
      layout.resultOffset,
      [resultStride, resultHeadStride, resultRowStride],
      [m, n],
    ),
  };
}

function nearestPower(size: number): number {
  return 2 ** Math.round(Math.log2(size));
}
