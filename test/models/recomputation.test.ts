import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { parameterInventory } from "../../models/inventory.ts";
import { projectedLoss } from "../../models/loss.ts";
import { Dropout } from "../../models/t5.ts";
import { compile } from "../../src/graph/compile.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { input } from "../../src/graph/leaves.ts";
import type { HostArray } from "../../src/graph/program.ts";
import { concat } from "../../src/graph/ops/concat.ts";
import { size } from "../../src/graph/tensor.ts";
import { drawParameter } from "../../src/train/initialise.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("recomputation");
const gpu = await testDevice();

const batch = 8, source = 48, target = 16;

/** Every gradient of a model with four layers a stack, and what memory that took. */
async function train(adapters: [encoder: string, decoder: string], recompute: boolean) {
  const config = parseConfig({
    vocab_size: 40,
    d_model: 32,
    d_kv: 8,
    d_ff: 48,
    num_layers: 4,
    num_heads: 2,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
    encoder_adapter: adapters[0],
    decoder_adapter: adapters[1],
    encoder_adapter_dim: 4,
    decoder_adapter_dim: 4,
    hypernetwork_bottleneck: 8,
    tasks: ["a", "b"],
  }, "config.json");
  const inventory = parameterInventory(config);
  const weights = new Map(inventory.map(({ name, shape }) => [name, input(name, shape)]));
  const given: Record<string, HostArray> = {
    inputIds: Int32Array.from({ length: batch * source }, (_, i) => i % 40),
    attentionMask: Int32Array.from({ length: batch * source }, (_, i) => Number(i % source < 41)),
    decoderInputIds: Int32Array.from({ length: batch * target }, (_, i) => i % 7),
    labels: Int32Array.from({ length: batch * target }, (_, i) => i % 11),
    taskIds: Int32Array.from({ length: batch }, (_, i) => i % 2),
    seed: Uint32Array.of(3, 4),
  };
  for (const parameter of inventory) given[parameter.name] = drawParameter(parameter, 1);
  const model = {
    config,
    weight: (name: string) => weights.get(name)!,
    dropout: new Dropout(0.2, input("seed", [2], "u32")),
    recompute,
  };
  const { decoder } = forward(model, {
    inputIds: input("inputIds", [batch, source], "i32"),
    attentionMask: input("attentionMask", [batch, source], "i32"),
    decoderInputIds: input("decoderInputIds", [batch, target], "i32"),
    taskIds: input("taskIds", [batch], "i32"),
  });
  const labels = input("labels", [batch, target], "i32");
  const { loss } = projectedLoss(model, decoder.lastHiddenState, labels, { smoothing: 0.1 });
  const adjoints = gradients(loss, [...weights.values()]).filter((adjoint) =>
    adjoint !== undefined
  );
  const count = adjoints.reduce((sum, { shape }) => sum + size(shape), 0);
  const outputs = { gradients: concat(adjoints, [count]), loss };
  const program = await compile(gpu, { outputs });
  const inputs = Object.entries(given).filter(([name]) => program.inputNames.has(name));
  const result = await program.run(Object.fromEntries(inputs), Object.keys(outputs));
  program.destroy();
  return { result, memory: program.memory };
}

const modes: [string, string][] = [
  ["manual", "generated"],
  ["generated", "generated"],
  ["task", "manual_specific"],
];
for (const adapters of modes) {
  test(`${adapters.join("/")}: the very same gradients in less memory`, async () => {
    const kept = await train(adapters, false);
    const again = await train(adapters, true);
    assert.equal(again.result, kept.result);
    // The gradients themselves must be there either way.
    const [less, more] = [again, kept].map(({ memory, result }) =>
      memory.workspaceBytes - result.gradients.byteLength
    );
    assert.ok(less < 0.7 * more, `${less} bytes of ${more}`);
  });
}

test.run();
