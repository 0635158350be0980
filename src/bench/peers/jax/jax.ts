/**
 * The parts of jax-js that the comparison uses, as types: the package is no dependency, it is fetched only
 * when somebody compares.
 *
 * Its rule of ownership: to pass an array to anything is to give it away; `ref` is one more use.
 */

/** An array of jax-js, or what stands for one while a function is traced. */
export interface JaxArray {
  readonly ref: this;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  neg(): JaxArray;
  notEqual(other: JaxArray | number): JaxArray;
  equal(other: JaxArray | number): JaxArray;
  lessEqual(other: JaxArray | number): JaxArray;
  sum(axis?: number | number[], options?: { keepdims: boolean }): JaxArray;
  mean(axis?: number | number[], options?: { keepdims: boolean }): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(order?: readonly number[]): JaxArray;
  astype(dtype: string): JaxArray;
  slice(...index: (number | [] | [number] | [number, number] | null | JaxArray)[]): JaxArray;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** Arrays by name. */
export type Weights = { [name: string]: JaxArray };

/** Any nesting of arrays. */
export type Tree = JaxArray | readonly Tree[] | { readonly [key: string]: Tree };

type Like = JaxArray | number;

/** The module. */
export interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): unknown;
  jit<A extends readonly Tree[], R extends Tree>(f: (...args: A) => R): (...args: A) => R;
  valueAndGrad<P extends Tree>(f: (parameters: P) => JaxArray): (parameters: P) => [JaxArray, P];
  readonly tree: {
    ref<T extends Tree>(tree: T): T;
    dispose(tree: Tree): void;
  };
  readonly numpy: {
    array(values: Float32Array | Int32Array, options?: { dtype: string }): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    arange(count: number): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    minimum(a: Like, b: Like): JaxArray;
    where(condition: JaxArray, a: Like, b: Like): JaxArray;
    argmax(x: JaxArray, axis: number): JaxArray;
    concatenate(parts: readonly JaxArray[], axis: number): JaxArray;
    stack(parts: readonly JaxArray[], axis?: number): JaxArray;
    broadcastTo(x: JaxArray, shape: readonly number[]): JaxArray;
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray;
  };
  readonly nn: {
    relu(x: JaxArray): JaxArray;
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    oneHot(ids: JaxArray, classes: number): JaxArray;
    dotProductAttention(
      query: JaxArray,
      key: JaxArray,
      value: JaxArray,
      options: { bias?: JaxArray; mask?: JaxArray; scale: number; isCausal?: boolean },
    ): JaxArray;
  };
}

/**
 * Starts jax-js on WebGPU.
 *
 * @throws {Error} where it finds no adapter
 */
export async function startJax(jax: Jax): Promise<Jax> {
  const backends = await jax.init("webgpu");
  if (!backends.includes("webgpu")) throw new Error("jax-js finds no WebGPU adapter here.");
  jax.defaultDevice("webgpu");
  return jax;
}
