import { suite } from "uvu";
import * as assert from "uvu/assert";
import { input } from "../../src/graph/leaves.ts";
import { relu } from "../../src/graph/ops/relu.ts";
import { simplify } from "../../src/graph/rewrite.ts";
import { apply, applyAll, type Node, type Op, type Tensor } from "../../src/graph/tensor.ts";

const test = suite("graph/rewrite");

/** An op of one shape for all, with as many outputs as its attributes say; it cannot run. */
function opOf(name: string, rules: Partial<Op<number>> = {}): Op<number> {
  const shape = ([{ shape }]: readonly Tensor[], outputs: number) =>
    Array.from({ length: outputs }, () => ({ shape, dtype: "f32" as const }));
  return { name, shape, ...rules };
}

const x = input("x", [4]);
const late = input("late", [4]);
const reader = opOf("reader");
const joint = opOf("joint");
const join = (producer: Node, consumer: Node, outputs: number) =>
  consumer.op === reader
    ? applyAll(joint, [...producer.inputs, consumer.inputs[1]], outputs)[0].node
    : undefined;
const generous = opOf("generous", {
  accompany: (producer, consumer) => join(producer, consumer, producer.outputs.length + 1),
});

test("a node takes along one of its readers, and everyone reads what it then makes", () => {
  const a = apply(generous, [x], 1);
  const before = relu(a);
  // Nothing reads the leaf before.
  const taken = apply(reader, [a, late], 1);
  const [newBefore, newTaken, after] = simplify([before, taken, relu(taken)]);
  assert.is(newTaken.node.op, joint);
  assert.is(newTaken.index, 1);
  assert.is(newBefore.node.inputs[0], newTaken.node.outputs[0]);
  assert.is(after.node.inputs[0], newTaken);
});

test("it leaves a reader whose other operand depends on the node itself", () => {
  const a = apply(generous, [x], 1);
  const [y] = simplify([apply(reader, [a, relu(a)], 1)]);
  assert.is(y.node.op, reader);
  assert.is(y.node.inputs[0].node.op, generous);
});

test("a node of several outputs absorbs the only reader of one, whose place its result takes", () => {
  const absorbing = opOf("absorbing", {
    absorb: (producer, consumer) => join(producer, consumer, producer.outputs.length),
  });
  const [first, second] = applyAll(absorbing, [x], 2);
  const [beside, y] = simplify([relu(first), apply(reader, [second, late], 1)]);
  assert.is(y.node.op, joint);
  assert.is(y.index, 1);
  assert.is(beside.node.inputs[0], y.node.outputs[0]);

  const [, shared] = applyAll(absorbing, [x], 2);
  const [z] = simplify([apply(reader, [shared, late], 1), relu(shared)]);
  assert.is(z.node.op, reader);
});

test.run();
