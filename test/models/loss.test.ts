import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { projectedLoss } from "../../models/loss.ts";
import { compile } from "../../src/graph/compile.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { input } from "../../src/graph/leaves.ts";
import type { Tensor } from "../../src/graph/tensor.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose, values } from "../graph/ops/check.ts";

const test = suite("loss of the projected states");
const gpu = await testDevice();

const modelDim = 16, vocabSize = 500, batch = 5, length = 41;
const config = (tied: boolean) =>
  parseConfig({
    vocab_size: vocabSize,
    d_model: modelDim,
    d_kv: 8,
    d_ff: 32,
    num_layers: 1,
    num_heads: 2,
    tie_word_embeddings: tied,
  }, "config.json");

/** Loss, sums and gradients, with at most that many bytes of logits at a time. */
async function evaluate(chunkBytes: number, { tied = false, trainHead = true } = {}) {
  const head = input("head", [vocabSize, modelDim]);
  const hidden = input("hidden", [batch, length, modelDim]);
  const labels = input("labels", [batch, length], "i32");
  const model = { config: config(tied), weight: () => head };
  const { loss, sums } = projectedLoss(
    model,
    hidden,
    labels,
    { smoothing: 0.1, padId: 0 },
    chunkBytes,
  );
  const [dHidden, dHead] = gradients(loss, trainHead ? [hidden, head] : [hidden]);
  const outputs: Record<string, Tensor> = { dHidden: dHidden!, loss, sums };
  if (dHead) outputs.dHead = dHead;
  const program = await compile(gpu, { outputs });
  const result = await program.run({
    head: values([vocabSize, modelDim], 1),
    hidden: values([batch, length, modelDim], 2, 3),
    labels: Int32Array.from({ length: batch * length }, (_, i) => (i * 37) % vocabSize),
  }, Object.keys(outputs));
  program.destroy();
  return { result, memory: program.memory };
}

for (const tied of [false, true]) {
  test(`chunks make no difference to ${tied ? "a tied" : "an untied"} head`, async () => {
    const whole = await evaluate(2 ** 30, { tied });
    const chunked = await evaluate(64 * 4 * vocabSize, { tied });
    for (const name of ["loss", "sums", "dHidden", "dHead"]) {
      assertClose(chunked.result[name], whole.result[name], { what: name, relative: 2e-6 });
    }
  });
}

test("the logits of one chunk at a time are in memory, and their gradient", async () => {
  const chunkBytes = 64 * 4 * vocabSize;
  const whole = await evaluate(2 ** 30, { trainHead: false });
  const chunked = await evaluate(chunkBytes, { trainHead: false });
  assert.ok(whole.memory.workspaceBytes > 2 * 4 * batch * length * vocabSize);
  assert.ok(chunked.memory.workspaceBytes < 2 * chunkBytes + 8 * batch * length * modelDim);
});

test.run();
