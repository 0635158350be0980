/**
 * Leaves of a graph: inputs (uploaded for every run) and variables (memory that outlives runs).
 *
 * Leaves are compared by identity: two inputs of one name are an error at compile time.
 */

import {
  apply,
  type ComputeDType,
  type DType,
  type Node,
  type Op,
  type Shape,
  type Tensor,
} from "./tensor.ts";

/** What an input leaf knows about itself. */
export interface InputAttributes {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: ComputeDType;
}

/** Memory on the device that keeps its value between runs. */
export interface Variable {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly buffer: GPUBuffer;
}

const inputOp: Op<InputAttributes> = {
  name: "input",
  shape: (_, { shape, dtype }) => [{ shape, dtype }],
};

const variableOp: Op<Variable> = {
  name: "variable",
  shape: (_, { shape, dtype }) => [{ shape, dtype }],
};

/** A value given anew for every run, by name. */
export function input(name: string, shape: Shape, dtype: ComputeDType = "f32"): Tensor {
  return apply(inputOp, [], { name, shape, dtype });
}

const leaves = new WeakMap<Variable, Tensor>();

/** The leaf that reads a variable. Always the same tensor for the same variable. */
export function read(variable: Variable): Tensor {
  let leaf = leaves.get(variable);
  if (!leaf) leaves.set(variable, leaf = apply(variableOp, [], variable));
  return leaf;
}

/** The attributes of an input leaf, or undefined for any other tensor. */
export function asInput(tensor: Tensor): InputAttributes | undefined {
  return tensor.node.op === inputOp ? tensor.node.attributes : undefined;
}

/** The variable that a leaf reads, or undefined for any other tensor. */
export function asVariable(tensor: Tensor): Variable | undefined {
  return tensor.node.op === variableOp ? tensor.node.attributes : undefined;
}

/** Whether a node has no operands because its value comes from outside the graph. */
export function isLeaf(node: Node): boolean {
  return node.op === inputOp || node.op === variableOp;
}
