/**
 * The ways to divide a matrix product among invocations, and which of them is likely to be the fastest.
 *
 * Pure functions of the problem and the adapter. What is listed first is what runs where nothing was
 * measured (see docs/kernels.md for the costs); the tuner measures the others against it.
 */

import type { MatmulProblem } from "./matmul-problem.ts";

/** What the choice depends on. */
export interface MatmulAdapter {
  isCpu: boolean;
  subgroups: boolean;
  subgroupSize: number;
  limits: { maxComputeWorkgroupsPerDimension: number };
}

/**
 * `register`: CPU adapters. `subgroup`: CPU adapters with subgroups of 8. `tiled`: GPUs. `thin`: GPUs, a few
 * rows by a Linear layer's weight.
 */
export type MatmulVariant = "register" | "subgroup" | "tiled" | "thin";

/** One way to compute a product. */
export interface MatmulCandidate {
  /** Unique among the candidates of a problem, and of the same meaning for every problem. */
  readonly name: string;
  readonly variant: MatmulVariant;
  /** Rows and columns of the result that one workgroup's (`register`: one invocation's) block has. */
  readonly rows: number;
  readonly columns: number;
  /** `tiled`: blocks of 4×4 that each invocation has along a side. */
  readonly threadBlocks?: number;
  /** Whether op(b)ᵀ · op(a)ᵀ is computed and stored transposed. */
  readonly exchanged: boolean;
  /** Pieces that k is cut into. */
  readonly splits: number;
  readonly workgroups: number;
}

/** A candidate with what it is thought to cost, in multiply-adds of a vector of lanes. */
interface Estimate extends MatmulCandidate {
  readonly cost: number;
}

/** Lanes that a CPU adapter runs at once, and the CPU kernels' workgroup size. */
const LANES = 8;

/** Vectors of lanes that should be there for the cores to share. */
const VECTORS = 16;

/** What the dispatch that adds the sums of a split k costs on a CPU adapter, about 40 µs, in the unit of costs. */
const REDUCTION = 150_000;

/** Multiply-adds under which the largest blocks, long to compile, cannot pay. */
const SMALL_PRODUCT = 2 ** 22;

/** Tiles of a GPU's workgroup: the side, and how many blocks of 4×4 an invocation has along a side. */
const TILES = [
  { side: 32, threadBlocks: 1 },
  { side: 64, threadBlocks: 2 },
  { side: 64, threadBlocks: 1 },
  { side: 128, threadBlocks: 2 },
] as const;

/** The candidates for a problem on an adapter, the likeliest first. */
export function matmulCandidates(
  problem: MatmulProblem,
  adapter: MatmulAdapter,
): MatmulCandidate[] {
  if (!adapter.isCpu) {
    const tiled = candidatesOf.tiled(problem), thin = candidatesOf.thin(problem);
    // Up to here seven eighths of a tile would be empty.
    return problem.m <= 4 ? [...thin, ...tiled] : [...tiled, ...thin];
  }
  return candidatesOf[hasBroadcasts(adapter) ? "subgroup" : "register"](problem);
}

/** Whether a CPU adapter has the subgroups that kernels with broadcasts are written for. */
export function hasBroadcasts({ subgroups, subgroupSize }: MatmulAdapter): boolean {
  return subgroups && subgroupSize === LANES;
}

/** The candidates of each variant; for tests and benchmarks, which run what the adapter would not choose. */
export const candidatesOf: Record<MatmulVariant, (problem: MatmulProblem) => MatmulCandidate[]> = {
  register(problem) {
    const { batch, m, n, k } = problem;
    const sizes = isSmall(problem) ? [8, 4] : [16, 8, 4];
    return byCost(
      [...sizes, ...fewer(m, [2, 1])].flatMap((rows) =>
        sizes.flatMap((columns) => {
          const blocks = batch * Math.ceil(m / rows) * Math.ceil(n / columns);
          const splits = splitCount(blocks / LANES, problem);
          return [...new Set([splits, 1])].map((splits): Estimate => ({
            ...candidate("register", rows, columns, splits),
            workgroups: Math.ceil(splits * blocks / LANES),
            cost: reduction(splits) + rounds(splits * blocks / LANES) * splitLength(k, splits) *
                (rows * columns + 7 * (rows + columns)),
          }));
        })
      ),
    );
  },

  subgroup(problem) {
    const { batch, m, n, k } = problem;
    const sizes = isSmall(problem) ? [16, 8] : [32, 16, 8];
    return byCost(
      [false, true].flatMap((exchanged) =>
        [...sizes, ...exchanged ? fewer(n, [4]) : fewer(m, [4, 2, 1])].flatMap((rows) =>
          [8, 4].flatMap((laneColumns) => {
            const [down, across] = exchanged ? [n, m] : [m, n];
            const columns = LANES * laneColumns;
            const blocks = batch * Math.ceil(down / rows) * Math.ceil(across / columns);
            const splits = splitCount(blocks, problem);
            return [...new Set([splits, 1])].map((splits): Estimate => ({
              ...candidate("subgroup", rows, columns, splits, exchanged),
              workgroups: splits * blocks,
              cost: reduction(splits) + rounds(splits * blocks) * splitLength(k, splits) *
                  (rows * laneColumns + rows + 10 * (Math.ceil(rows / LANES) + laneColumns)),
            }));
          })
        )
      ),
    );
  },

  tiled(problem) {
    const { batch, m, n } = problem;
    return TILES.flatMap(({ side, threadBlocks }) => {
      const tiles = batch * Math.ceil(m / side) * Math.ceil(n / side);
      // Tiles that are mostly empty need not be tried.
      if (side > 32 && 2 * Math.min(m, n) < side) return [];
      const splits = gpuSplits(tiles, problem);
      return [...new Set([splits, 1])].map((splits) => ({
        ...candidate("tiled", side, side, splits),
        name: `tiled ${side}x${side} by ${4 * threadBlocks}x${4 * threadBlocks}${
          splitName(splits)
        }`,
        threadBlocks,
        workgroups: tiles * splits,
      }));
    });
  },

  thin(problem) {
    const { batch, m, n, transposeA, transposeB } = problem;
    if (transposeA || !transposeB || m > 32) return [];
    const rows = m > 4 ? 8 : m > 2 ? 4 : m;
    const blocks = batch * Math.ceil(m / rows) * Math.ceil(n / 4);
    const splits = gpuSplits(blocks, problem);
    return [...new Set([splits, 1])].map((splits) => ({
      ...candidate("thin", rows, 4, splits),
      workgroups: blocks * splits,
    }));
  },
};

/** Length of k that one split sums: whole steps of every kernel, so that only the last has a remainder. */
export function splitLength(k: number, splits: number): number {
  return Math.ceil(k / splits / 32) * 32;
}

function candidate(
  variant: MatmulVariant,
  rows: number,
  columns: number,
  splits: number,
  exchanged = false,
) {
  const name = `${variant} ${rows}x${columns}${exchanged ? " exchanged" : ""}${splitName(splits)}`;
  return { name, variant, rows, columns, exchanged, splits };
}

function splitName(splits: number): string {
  return splits > 1 ? " split" : "";
}

function isSmall({ batch, m, n, k }: MatmulProblem): boolean {
  return batch * m * n * k < SMALL_PRODUCT;
}

/** The blocks of few rows that a matrix of no more rows than that is read with: a step of decoding. */
function fewer(rows: number, sizes: readonly number[]): number[] {
  return sizes.filter((size) => rows <= size);
}

/** Sorted by cost; of equal ones the first stays first. */
function byCost(estimates: Estimate[]): Estimate[] {
  return estimates.toSorted((a, b) => a.cost - b.cost);
}

/** How often the busiest of the cores' shares comes up. */
function rounds(work: number): number {
  return Math.ceil(work / VECTORS);
}

function reduction(splits: number): number {
  return splits > 1 ? REDUCTION : 0;
}

/** Into how many pieces k is cut, so that few outputs with a long sum still fill a CPU adapter. */
function splitCount(work: number, { k, layout }: MatmulProblem): number {
  return layout ? 1 : clamp(Math.floor(VECTORS / work), Math.floor(k / 256));
}

/** Workgroups under which a large GPU is mostly idle, and those that fill it. */
const FEW_WORKGROUPS = 256, MANY_WORKGROUPS = 1024;

/**
 * The same for a GPU: a sum that few workgroups share is cut until many do, into pieces of no less than 256
 * steps, because fewer is about what the dispatch that adds the sums costs (estimated, not measured).
 */
function gpuSplits(workgroups: number, { k, layout }: MatmulProblem): number {
  if (layout || workgroups >= FEW_WORKGROUPS) return 1;
  return clamp(Math.floor(MANY_WORKGROUPS / workgroups), Math.floor(k / 256));
}

function clamp(...bounds: number[]): number {
  return Math.max(1, Math.min(64, ...bounds));
}
