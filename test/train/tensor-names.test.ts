import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { ownNames, renamed } from "../../src/train/tensor-names.ts";

const test = suite("tensor names");

const NAMES = [
  "shared.weight",
  "encoder.block.0.layer.0.SelfAttention.q.weight",
  "decoder.final_layer_norm.weight",
  "decoder.param_gen.decoder.linear1.bias",
  "lm_head.weight",
];

const own = (names: string[]) => names.map(ownNames(names));

test("what tools put in front of every name is taken off", () => {
  for (
    const prefix of [
      "",
      "module.",
      "_orig_mod.",
      "model.",
      "module._orig_mod.",
      "_orig_mod.module.",
      "model._orig_mod.module.",
      "_forward_module.model.",
      "net.t5.",
      "transformer.",
    ]
  ) {
    assert.equal(own(NAMES.map((name) => prefix + name)), NAMES, prefix);
  }
  const wrapped = NAMES.map((name) =>
    `model._fsdp_wrapped_module.${name.replace("block.0.", "block.0._checkpoint_wrapped_module.")}`
  );
  assert.equal(own(wrapped), NAMES);
  const compiled = NAMES.map((name) => name.replace(/^encoder\./, "encoder._orig_mod."));
  assert.equal(own(compiled), NAMES);
});

test("what is not in front of every name stays: nothing is dropped", () => {
  const pair = NAMES.flatMap((name) => [`ema.${name}`, `model.${name}`, `teacher.${name}`]);
  assert.equal(new Set(own(pair)).size, 3 * NAMES.length);
  assert.ok(own(pair).includes("model.shared.weight"));
  assert.equal(own(["model.shared.weight", "loss.weight"]), ["shared.weight", "loss.weight"]);
  assert.equal(own(["a.b", "c"]), ["a.b", "c"]);
});

test("two tensors of one name are refused, with both names", () => {
  const names = ["encoder.block.0.x", "_orig_mod.encoder.block.0.x"];
  assert.throws(
    () => renamed(new Map(names.map((name) => [name, 0])), ownNames(names), "file"),
    (error: Error) =>
      error instanceof UserError &&
      /^file: the tensors encoder\.block\.0\.x and _orig_mod\.encoder\.block\.0\.x both are/
        .test(error.message),
  );
});

test.run();
