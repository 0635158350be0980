/**
 * The same work in jax-js, another WebGPU framework, on the same adapter and in the same process.
 *
 * The two take turns, so that whatever else the machine does strikes both. A turn is a chain of products
 * with one result read back at its end: its wait weighs alike on both, which favours the slower one.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { matmul } from "../graph/ops/matmul.ts";
import { randomFloats } from "./inputs.ts";
import { type Spread, spread } from "./measure.ts";
import { Workbench } from "./workbench.ts";

/** The parts of jax-js in use here. Using an array consumes it; `ref` is one more use. */
export interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): unknown;
  readonly numpy: {
    array(values: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
}

/** An array of jax-js. */
export interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** The same work here and there. */
export interface Comparison {
  readonly work: string;
  /** Milliseconds of one product. */
  readonly ours: Spread;
  readonly theirs: Spread;
  /** Theirs over ours, turn by turn: above 1, this project is faster. */
  readonly ratio: Spread;
}

/** How the comparison is done. */
export interface Turns {
  /** Side of the square matrices. */
  readonly side: number;
  /** Products in a turn. */
  readonly chain: number;
  /** Turns of each that count, after one that does not. */
  readonly turns: number;
}

/** 512³, the size that benchmarks of WebGPU frameworks agree on. */
export const usualTurns: Turns = { side: 512, chain: 20, turns: 7 };

/**
 * Compares products of f32 matrices.
 *
 * @throws {Error} if jax-js has no WebGPU here, or comes to another result
 */
export async function compareProducts(
  gpu: Gpu,
  jax: Jax,
  { side, chain, turns }: Turns,
): Promise<Comparison> {
  const backends = await jax.init("webgpu");
  if (!backends.includes("webgpu")) throw new Error("jax-js finds no WebGPU adapter here.");
  jax.defaultDevice("webgpu");

  const x = randomFloats("x", side * side);
  // Such that the numbers of a product are about as large as those of its first operand.
  const w = randomFloats("w", side * side, Math.sqrt(3 / side));
  const here = await chainHere(gpu, x, w, { side, chain });
  const there = chainThere(jax, x, w, { side, chain });

  const ours: number[] = [], theirs: number[] = [];
  for (let turn = 0; turn <= turns; turn++) {
    const start = performance.now();
    const result = await here.run();
    const middle = performance.now();
    const other = await there.run();
    const end = performance.now();
    if (turn === 0) {
      requireAgreement(result, other);
      continue;
    }
    ours.push((middle - start) / chain);
    theirs.push((end - middle) / chain);
  }
  here.destroy();
  there.destroy();
  return {
    work: `product ${side}×${side}×${side} f32`,
    ours: spread(ours),
    theirs: spread(theirs),
    ratio: spread(ours.map((time, turn) => theirs[turn] / time)),
  };
}

/** A chain of products, ready to be done again and again. */
interface Chain {
  /** Does the products and reads the last one back. */
  run(): Promise<ArrayLike<number>>;
  destroy(): void;
}

type ChainSize = Pick<Turns, "side" | "chain">;

async function chainHere(
  gpu: Gpu,
  x: Float32Array,
  w: Float32Array,
  { side, chain }: ChainSize,
): Promise<Chain> {
  const bench = new Workbench(gpu);
  const weight = bench.operand("w", [side, side], w);
  let product = bench.operand("x", [side, side], x);
  for (let i = 0; i < chain; i++) product = matmul(product, weight);
  const program = await compile(gpu, { outputs: { product } });
  return {
    run: async () => (await program.run({}, ["product"])).product,
    destroy: () => {
      program.destroy();
      bench.destroy();
    },
  };
}

function chainThere(
  { numpy }: Jax,
  x: Float32Array,
  w: Float32Array,
  { side, chain }: ChainSize,
): Chain {
  const [first, weight] = [x, w].map((values) => numpy.array(values).reshape([side, side]));
  return {
    run: async () => {
      let product = first.ref;
      for (let i = 0; i < chain; i++) product = numpy.matmul(product, weight.ref);
      return await product.data();
    },
    destroy: () => {
      first.dispose();
      weight.dispose();
    },
  };
}

/** A comparison of speed is one of nothing if the results differ. */
function requireAgreement(ours: ArrayLike<number>, theirs: ArrayLike<number>): void {
  let difference = 0, largest = 0;
  for (let i = 0; i < ours.length; i++) {
    difference = Math.max(difference, Math.abs(ours[i] - theirs[i]));
    largest = Math.max(largest, Math.abs(ours[i]));
  }
  if (ours.length === theirs.length && difference <= 1e-3 * largest) return;
  throw new Error(`jax-js comes to another product: the largest difference is ${difference}.`);
}
