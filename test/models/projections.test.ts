import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { projectedLoss } from "../../models/loss.ts";
import { Dropout, type Model } from "../../models/t5.ts";
import config from "../../models/miniature/config.json" with { type: "json" };
import { gradients } from "../../src/graph/gradients.ts";
import { input } from "../../src/graph/leaves.ts";
import { executionOrder } from "../../src/graph/order.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { simplify } from "../../src/graph/rewrite.ts";
import { planSteps } from "../../src/graph/steps.ts";
import type { Tensor } from "../../src/graph/tensor.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("joint projections");
const gpu = await testDevice();

/** Copies in an update of the embedded model. */
function copiesIn(trainable: (name: string) => boolean, storage?: "f16") {
  const model = parseConfig(config, "config.json");
  const isMatrix = (name: string) => /Attention\.[qkvo]|DenseReluDense/.test(name);
  const parameters = new Parameters(
    gpu,
    parameterInventory(model).map(({ name, shape }) => {
      const isHalf = storage && !trainable(name) && isMatrix(name);
      return { name, shape, trainable: trainable(name), storage: isHalf ? storage : "f32" };
    }),
  );
  const batch = 2, source = 9, target = 5;
  const training: Model = {
    config: model,
    weight: (name) => parameters.tensor(name),
    dropout: new Dropout(0.1, input("seed", [2], "u32")),
  };
  const { decoder } = forward(training, {
    inputIds: input("inputIds", [batch, source], "i32"),
    attentionMask: input("attentionMask", [batch, source], "i32"),
    decoderInputIds: input("decoderInputIds", [batch, target], "i32"),
  });
  const labels = input("labels", [batch, target], "i32");
  const { loss } = projectedLoss(training, decoder.lastHiddenState, labels, {
    smoothing: 0.1,
    padId: 0,
  });
  const names = parameters.trainable;
  const adjoints = gradients(loss, names.map((name) => parameters.tensor(name)));
  const found = names.flatMap((name, i): [string, Tensor][] =>
    adjoints[i] ? [[name, adjoints[i]]] : []
  );
  const optimizer = new AdamW(parameters);
  const { effects } = optimizer.update(new Map(found), input("hyper", [optimizer.hyperLength]));
  const { steps } = planSteps(executionOrder(simplify(effects)), gpu);
  optimizer.destroy();
  parameters.destroy();
  return steps.flatMap(({ dispatches }) => dispatches)
    .filter(({ shader }) => shader.name === "copy").length;
}

test("an update copies neither weights nor their gradients, whatever is trained", () => {
  assert.is(copiesIn(isAdapterParameter), 0);
  assert.is(copiesIn(() => true), 0);
  assert.is(copiesIn((name) => name.startsWith("decoder.")), 0);
});

test("nor does it where the weights are stored as f16", () => {
  assert.is(copiesIn(isAdapterParameter, "f16"), 0);
});

test.run();
