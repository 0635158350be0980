import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import type { Dataset, Example, Split } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { loadCheckpoint } from "../../src/train/checkpoint.ts";
import { evaluate, majorityBaseline } from "../../src/train/evaluate.ts";
import { matchModel, readModel } from "../../src/train/model-files.ts";
import { Run } from "../../src/train/run.ts";
import type { RunDirectory } from "../../src/train/run-directory.ts";
import { type Options, resolveSettings } from "../../src/train/settings.ts";
import { checkTrained, placeTrained } from "../../src/train/trained-model.ts";
import { testDevice } from "../graph/device.ts";
import { checkpointSource, memoryRun, memorySource, metricsOf, tinySource } from "./memory.ts";

const test = suite("run");

/** Echo a word: four sources, so that even a tiny model learns which of two answers is frequent. */
const echo: Dataset = {
  task: { name: "echo", description: "Say the word again.", metrics: ["accuracy"] },
  splits: Object.fromEntries(
    (["train", "validation", "test"] satisfies Split[]).map((split) => [
      split,
      ["good", "good film", "good", "bad"].map((word) => ({
        task: "echo",
        source: `echo word: ${word}`,
        target: word.split(" ")[0],
      })),
    ]),
  ),
};

function shouted(count: number): Example[] {
  return echo.splits.test!.slice(0, count).map((example) => ({ ...example, task: "shout" }));
}

/** Another task of the same kind, which is only scored. */
const shout: Dataset = {
  task: { ...echo.task, name: "shout" },
  splits: { validation: shouted(4), test: shouted(2) },
};

const settings: Options = {
  model: "/tiny",
  steps: 12,
  batchSize: 4,
  learningRate: 0.1,
  maxSourceLength: 16,
  maxTargetLength: 4,
  evalEvery: 4,
  saveEvery: 5,
  logEvery: 3,
  encoderAdapterDim: 4,
  decoderAdapterDim: 4,
  hypernetworkBottleneck: 4,
};

async function createRun(options: Options, directory: RunDirectory = memoryRun()): Promise<Run> {
  const gpu = await testDevice();
  const source = await tinySource();
  const base = await readModel(source, () => source);
  const resolved = resolveSettings({ ...settings, ...options }, base.config, "config.json", [
    "echo",
  ]);
  const weights = matchModel(base, resolved.config);
  return await Run.create({ gpu, ...resolved, base, weights, datasets: [echo, shout], directory });
}

test("every step is logged, evaluations come when due, and the loss falls", async () => {
  const run = await createRun({ steps: 40, evalEvery: 16, learningRate: 0.05 });
  const { directory } = run.parts;
  await directory.create(run.parts.settings);
  await run.train();
  const lines = await metricsOf(directory);
  const updates = lines.filter((line) => "loss" in line);
  assert.equal(updates.map(({ step }) => step), Array.from({ length: 40 }, (_, i) => i + 1));
  assert.equal(
    lines.filter((line) => "evaluation" in line).map(({ step }) => step),
    [16, 32, 40],
  );
  for (const key of ["loss", "learningRate", "gradNorm", "targetTokens", "tokensPerSecond"]) {
    assert.ok(updates.every((line) => Number.isFinite(line[key])), key);
  }
  assert.is(updates[0].learningRate, 0); // the first of the warm-up
  assert.ok((updates[39].loss as number) < 0.8 * (updates[0].loss as number));
});

test("less memory changes how batches are worked through, not what they come to", async () => {
  const losses = async (maxMemory: number) => {
    const run = await createRun({ steps: 6, evalEvery: 0, maxMemory, dropout: 0 });
    const { trainer } = run;
    const updates = await trainer.advance(6);
    return { losses: updates.map(({ loss, gradNorm }) => [loss, gradNorm]), fit: trainer.fit };
  };
  const free = await losses(0);
  assert.is(free.fit, undefined);
  const { fit: ample } = await losses(1e9);
  const tight = await losses(Math.floor(ample!.bytes * 0.9));
  assert.ok(tight.fit!.parts > 1 || tight.fit!.recompute);
  assert.ok(tight.fit!.bytes < ample!.bytes);
  for (const [i, pair] of tight.losses.entries()) {
    for (const [j, value] of pair.entries()) {
      assert.ok(Math.abs(value / free.losses[i][j] - 1) < 1e-4, `${value}, ${free.losses[i][j]}`);
    }
  }
});

test("the best checkpoint is that of the best evaluation, the latest that of the last step", async () => {
  const run = await createRun({});
  await run.train();
  const { checkpoints } = run.parts.directory.store;
  assert.is((await loadCheckpoint(checkpoints, "latest")).step, 12);
  const evaluations = (await metricsOf(run.parts.directory)).filter((line) => "average" in line);
  const highest = Math.max(...evaluations.map(({ average }) => average as number));
  const first = evaluations.find(({ average }) => average === highest)!;
  assert.equal(run.best, { average: highest, step: first.step });
  assert.is((await loadCheckpoint(checkpoints, "best")).step, first.step);
});

test("adapter training saves the adapters alone, on their backbone", async () => {
  const run = await createRun({ steps: 2, evalEvery: 0 });
  await run.train();
  const { files } = await loadCheckpoint(run.parts.directory.store.checkpoints);
  const names = [...(await openSafetensors(files["model.safetensors"])).keys()];
  assert.ok(names.length > 0 && names.every(isAdapterParameter));

  const model = await readModel(checkpointSource(files), () => memorySource({}))
    .then(() => undefined, (error) => error);
  assert.match(model.message, /^memory is not a model/); // there is no backbone in an empty place
  const backbone = await tinySource();
  const trained = checkTrained(await readModel(checkpointSource(files), () => backbone));
  assert.is(trained.weights.size, parameterInventory(trained.config).length);
});

test("full training saves a model that stands alone and answers as the run does", async () => {
  const run = await createRun({ steps: 6, evalEvery: 0, train: ["all"] });
  await run.train();
  const { files } = await loadCheckpoint(run.parts.directory.store.checkpoints);
  const trained = checkTrained(
    await readModel(checkpointSource(files), () => memorySource({})),
  );
  const model = await placeTrained(await testDevice(), trained, run.parts.settings);
  const own = await run.evaluate({ split: "test" });
  assert.equal(await evaluate(model, [echo], { split: "test" }), own);
  assert.is(own!.tasks[0].predictions.length, 4);
});

test("random weights are saved whole, and come again from the seed", async () => {
  const run = await createRun({ steps: 2, evalEvery: 0, randomWeights: true });
  await run.train();
  const { files } = await loadCheckpoint(run.parts.directory.store.checkpoints);
  const trained = checkTrained(await readModel(checkpointSource(files), () => memorySource({})));
  const model = await placeTrained(await testDevice(), trained, run.parts.settings);
  const own = await run.evaluate({ split: "test" });
  assert.equal(await evaluate(model, [echo], { split: "test" }), own);

  const name = "encoder.block.0.layer.0.SelfAttention.q.weight";
  const weights = async ({ trainer: { parameters } }: Run) =>
    (await parameters.read([name])).get(name);
  const again = await createRun({ randomWeights: true });
  assert.equal(await weights(again), await weights(run));
  assert.not.equal(await weights(await createRun({})), await weights(run));
});

test("other tasks than the trained ones can be scored, on as many examples as told", async () => {
  const run = await createRun({ steps: 2, evalTasks: ["shout"], evalLimit: 3, testLimit: 0 });
  await run.train();
  const evaluation = (await metricsOf(run.parts.directory)).find((line) => "average" in line)!;
  assert.equal(Object.keys(evaluation.evaluation as object), ["shout"]);
  const sizes = async (split: "validation" | "test") =>
    (await run.evaluate({ split }))!.tasks.map(({ task, predictions }) =>
      `${task.name} ${predictions.length}`
    );
  assert.equal(await sizes("validation"), ["shout 3"]);
  assert.equal(await sizes("test"), ["shout 2"]);
  assert.is(majorityBaseline(shout, "test").accuracy, 100); // "good", twice
});

test("without steps nothing is trained or saved, and there need be nothing to train on", async () => {
  const run = await createRun({ steps: 0, tasks: ["shout"], evalTasks: ["shout"] });
  await run.train();
  assert.is(run.trainer.step, 0);
  assert.equal(await run.parts.directory.store.checkpoints.list(), []);
  assert.is((await run.evaluate({ split: "test" }))!.tasks.length, 1);
});

test("a mean loss has the gradients of the sum divided by the tokens of its micro-batch", async () => {
  const first = async (options: Options) => {
    const run = await createRun({ evalEvery: 0, ...options });
    return (await run.trainer.advance(1))[0];
  };
  const sum = await first({});
  const mean = await first({ lossReduction: "mean" });
  assert.is(mean.loss, sum.loss); // which is always told per token
  assert.ok(Math.abs(mean.gradNorm * sum.targetTokens / sum.gradNorm - 1) < 1e-5);
  // The same examples twice: their mean gradient is the mean of two equal ones.
  const twice = await first({ lossReduction: "mean", batchSize: 2, accumulate: 2 });
  assert.ok(twice.gradNorm > 0 && twice.gradNorm < 2 * mean.gradNorm);
});

test("blocks that are computed again change nothing", async () => {
  const losses = async (options: Options) => {
    const run = await createRun({ evalEvery: 0, ...options });
    return (await run.trainer.advance(4)).map(({ loss }) => loss);
  };
  const kept = await losses({}), again = await losses({ recompute: true });
  kept.forEach((loss, i) => assert.ok(Math.abs(again[i] / loss - 1) < 1e-5, `${loss} ${again[i]}`));
});

test("stopped before an evaluation that is due, a run makes it when it goes on", async () => {
  const whole = await createRun({});
  await whole.train();

  const controller = new AbortController();
  const stopped = await createRun({});
  await stopped.train({
    signal: controller.signal,
    onMetrics: (lines) => lines.at(-1)!.step === 4 && controller.abort(),
  });
  assert.is(stopped.trainer.step, 4);
  assert.is((await metricsOf(stopped.parts.directory)).length, 4);

  const resumed = await createRun({}, stopped.parts.directory);
  await resumed.restore("latest");
  await resumed.train();
  const comparable = async ({ parts: { directory } }: Run) =>
    (await metricsOf(directory)).map(({ tokensPerSecond: _, ...line }) => line);
  assert.equal(await comparable(resumed), await comparable(whole));
  assert.equal(resumed.best, whole.best);
});

test("texts over the limit are cut and counted", async () => {
  const run = await createRun({ steps: 3, evalEvery: 0, maxSourceLength: 3 });
  await run.train();
  assert.is(run.trainer.truncated, 3 * 4);
});

test("training that diverges says at which step and leaves the checkpoint before", async () => {
  const run = await createRun({ steps: 20, evalEvery: 0, saveEvery: 1, learningRate: 1e38 });
  const error = await run.train().then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  const step = Number(
    error.message.match(/^training diverged at step (\d+): .*below 1e\+38$/)?.[1],
  );
  const saved = await loadCheckpoint(run.parts.directory.store.checkpoints);
  assert.is(saved.step, step - 1);
});

test.run();
