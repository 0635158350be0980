/**
 * Tensors and the nodes that make them.
 *
 * A graph is built once, by calling plain functions; nothing is computed here. A `Tensor` is a handle:
 * shape, dtype, and which output of which node it is. Nodes are immutable and hash-consable: two nodes
 * with the same op, attributes and inputs mean the same values, which is what lets `compile` merge them.
 */

import type { Gpu } from "../gpu/device.ts";

/** Element types to compute with. f32 is the reference; integers hold ids, masks and counters. */
export type ComputeDType = "f32" | "i32" | "u32";

/** Element types in memory. f16 stores weights that stay as they are; the ops that read them widen it. */
export type DType = ComputeDType | "f16";

/** Sizes of a tensor's axes, outermost first; row-major, contiguous. */
export type Shape = readonly number[];

/** What comes out of an op, before it is computed. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A value in a graph. */
export interface Tensor extends TensorType {
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
}

/** One application of an op. */
// deno-lint-ignore no-explicit-any -- a graph holds nodes of every op; each op knows its own attributes
export interface Node<Attributes = any> {
  readonly id: number;
  readonly op: Op<Attributes>;
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** WGSL source under a name that appears in errors and profiles. */
export interface Shader {
  readonly name: string;
  readonly source: string;
}

/** One compute dispatch, as plain data. Bindings and uniform fields go by the names in the shader. */
export interface Dispatch {
  readonly shader: Shader;
  /** Entry point; `main` unless given. */
  readonly entry?: string;
  /** Values of the shader's `override` constants. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Fields of the shader's uniform struct. */
  readonly uniforms?: Readonly<Record<string, number>>;
  /** Storage binding → tensor. A binding that is not named gets a dummy buffer. */
  readonly bindings: Readonly<Record<string, Tensor | Scratch>>;
  /** Workgroups in x, y, z. */
  readonly workgroups: readonly [number, number, number];
  /** Floating-point operations done, for profiles. */
  readonly flops?: number;
}

/** Memory that lives only during one node's dispatches. */
export interface Scratch {
  readonly scratchBytes: number;
}

/** A share of memory between an operand and an output. */
export interface Alias {
  /** Index of the operand. */
  readonly input: number;
  readonly byteOffset: number;
}

/**
 * A kind of computation: one object in one file.
 *
 * `alias` and `inPlace` are promises to the memory planner, which is free to decline both where an
 * offset is not aligned or the memory is still needed; `kernel` must then produce the same values.
 */
export interface Op<Attributes> {
  readonly name: string;
  /** Types of the outputs. Throws `ShapeError` naming op and operand shapes. */
  shape(inputs: readonly Tensor[], attributes: Attributes): TensorType[];
  /**
   * Gradients of the inputs, written with ops. `outputGradients[i]` is undefined where output i is not
   * used by the loss; inputs with `needed[i]` false may be answered with undefined.
   */
  gradient?(
    node: Node<Attributes>,
    outputGradients: readonly (Tensor | undefined)[],
    needed: readonly boolean[],
  ): (Tensor | undefined)[];
  /** The dispatches that compute the outputs. */
  kernel?(node: Node<Attributes>, gpu: Gpu): Dispatch[];
  /** For each output: the operand that it is a window into. `kernel` gives one copying dispatch each. */
  alias?(node: Node<Attributes>): Alias[];
  /** Where operands lie in output 0, if it is no more than these copies; `kernel` gives one dispatch each. */
  gather?(node: Node<Attributes>): Alias[];
  /** Indices of the inputs that may be stored as f16; `applyAll` refuses it for all others. */
  readonly halfInputs?: readonly number[] | "all";
  /** For each output: the index of the input that its kernel overwrites, or undefined. */
  inPlace?: readonly (number | undefined)[];
  /**
   * The node that computes `consumer` (which reads an output of `producer`) in one step with
   * `producer`, or undefined: its outputs are the producer's, with the consumer's in place of the one that
   * it reads. Called only if nothing else reads that output.
   */
  absorb?(producer: Node<Attributes>, consumer: Node): Node | undefined;
  /** Tensors of the same values as the outputs that cost less, or undefined where there are none. */
  simpler?(node: Node<Attributes>): readonly Tensor[] | undefined;
  /**
   * The node that computes both `producer` and `consumer`, one of several readers of the producer's output:
   * its outputs are the producer's and then the consumer's. Or undefined.
   */
  accompany?(producer: Node<Attributes>, consumer: Node): Node | undefined;
}

/** Operand shapes that an op cannot combine. */
export class ShapeError extends Error {
  override name = "ShapeError";
  constructor(op: string, message: string, inputs: readonly TensorType[]) {
    const shapes = inputs.map((t) => `${t.dtype}[${t.shape.join(", ")}]`).join(" and ");
    super(`${op}: ${message} (operands: ${shapes}).`);
  }
}

let nextId = 0;

/** Applies an op. The only way a node comes into being. */
export function applyAll<A>(
  op: Op<A>,
  inputs: readonly Tensor[],
  attributes: A,
): readonly Tensor[] {
  const takesHalf = (i: number) => op.halfInputs === "all" || op.halfInputs?.includes(i);
  if (inputs.some(({ dtype }, i) => dtype === "f16" && !takesHalf(i))) {
    const rule = "only products and embeddings read weights that are stored as f16";
    throw new ShapeError(op.name, rule, inputs);
  }
  const outputs: Tensor[] = [];
  const node: Node<A> = { id: nextId++, op, attributes, inputs, outputs };
  op.shape(inputs, attributes).forEach((type, index) => outputs.push({ ...type, node, index }));
  return outputs;
}

/** Applies an op with one output. */
export function apply<A>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  return applyAll(op, inputs, attributes)[0];
}

/** Number of elements. */
export function size(shape: Shape): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** Whether a tensor holds floats, however they are stored. */
export function isFloat({ dtype }: TensorType): boolean {
  return dtype === "f32" || dtype === "f16";
}

/** Bytes of an element. */
export function elementBytes(dtype: DType): number {
  return dtype === "f16" ? 2 : 4;
}

/** Bytes of a tensor. */
export function byteLength({ shape, dtype }: TensorType): number {
  return elementBytes(dtype) * size(shape);
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((axis, i) => axis === b[i]);
}

/** Rows and columns of a tensor seen as a matrix: all leading axes by the last one. */
export function matrixShape(tensor: TensorType): { rows: number; columns: number } {
  const columns = tensor.shape[tensor.shape.length - 1];
  return { rows: size(tensor.shape) / columns, columns };
}
