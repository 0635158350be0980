import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { trainCommand } from "../../../cli/train.ts";
import { readSettings, withSettings, withSettingsFile } from "../../../cli/frame/settings.ts";
import { referenceSchedules } from "../../../src/optim/schedule.ts";

const test = suite("frame/settings");

/** The settings of a run of the first version that was published, as its `config.json` has them. */
const oldRun = {
  model: "miniature",
  tasks: ["sentiment"],
  evalTasks: ["sentiment"],
  train: ["adapters"],
  seed: 0,
  dataSeed: 0,
  randomWeights: false,
  evalBatchSize: 32,
  maxAnswerLength: 0,
  steps: 600,
  batchSize: 32,
  accumulate: 2,
  optimizer: "adamw",
  schedule: "linear",
  scheduleCycles: 1,
  schedulePower: 1,
  scheduleEnd: 1e-7,
  weightDecay: 0,
  maxGradNorm: 1,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  adafactorScaleParameter: false,
  adafactorRelativeStep: false,
  adafactorWarmupInit: false,
  adafactorDecayRate: -0.8,
  adafactorClipThreshold: 1,
  adafactorBeta1: 0,
  learningRate: 0.005,
  warmupSteps: 30,
  labelSmoothing: 0.1,
  lossReduction: "mean",
  recompute: false,
  maxMemory: 0,
  weightStorage: "auto",
  dropout: 0,
  temperature: 1,
  maxSourceLength: 64,
  maxTargetLength: 16,
  trainLimit: 0,
  filterNulls: false,
  splitValidation: false,
  evalEvery: 200,
  evalLimit: 50,
  testLimit: 0,
  beams: 0,
  finalSplits: ["test"],
  loadBest: true,
  saveEvery: 200,
  logEvery: 10,
  encoderAdapter: "manual",
  decoderAdapter: "generated",
  encoderAdapterDim: 32,
  decoderAdapterDim: 32,
  hypernetworkBottleneck: 128,
  adapterNormInput: false,
  processEncoderOutput: true,
};

/** What a command with these flags is told. */
async function parsed(...flags: string[]): Promise<Record<string, unknown>> {
  const command = withSettingsFile(withSettings(new Command())).exitOverride().configureOutput({
    writeErr() {},
  })
    .action(() => {});
  await command.parseAsync(flags, { from: "user" });
  return command.opts();
}

test("everything about the optimiser can be said", async () => {
  const flags = "--optimizer adafactor --learning-rate 1e-3 --weight-decay 0.1 " +
    "--adafactor-scale-parameter --adafactor-relative-step --adafactor-warmup-init " +
    "--adafactor-decay-rate -0.5 --adafactor-clip-threshold 2 --adafactor-beta1 0.9 " +
    "--adam-beta1 0.8 --adam-beta2 0.98 --adam-epsilon 1e-6";
  assert.equal(await parsed(...flags.split(" ")), {
    optimizer: "adafactor",
    learningRate: 1e-3,
    weightDecay: 0.1,
    adafactorScaleParameter: true,
    adafactorRelativeStep: true,
    adafactorWarmupInit: true,
    adafactorDecayRate: -0.5,
    adafactorClipThreshold: 2,
    adafactorBeta1: 0.9,
    adamBeta1: 0.8,
    adamBeta2: 0.98,
    adamEpsilon: 1e-6,
  });
});

test("every boolean that a file may hold can be switched on and off by a flag", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const booleans = trainCommand().options.filter((option) => option.isBoolean());
  assert.ok(booleans.length > 10);
  for (const option of booleans) {
    const name = option.attributeName();
    for (const value of [true, false]) {
      await Deno.writeTextFile(file, JSON.stringify({ [name]: !value }));
      const command = trainCommand().exitOverride().action(() => {});
      const flag = value ? option.long! : option.long!.replace("--", "--no-");
      await command.parseAsync(["--config", file, flag], { from: "user" });
      assert.is(command.opts()[name], value, flag);
    }
  }
  await Deno.remove(file);
});

test("what an old run's file does not say is as it was then", async () => {
  const run = await Deno.makeTempDir();
  await Deno.writeTextFile(`${run}/config.json`, JSON.stringify(oldRun));
  const settings = { ...oldRun, accumulateMean: "batches", beamRule: "reference" };
  assert.equal(await readSettings(run), settings);
  // Also where the file is made to begin another run.
  const { config: _, ...again } = await parsed("--config", `${run}/config.json`);
  assert.equal(again, settings);
  const { steps: _steps, ...rest } = oldRun;
  await Deno.writeTextFile(`${run}/config.json`, JSON.stringify(rest));
  const error = await readSettings(run).then(() => undefined, (error) => error);
  assert.match(error.message, /config\.json is not a run's: it does not say "steps"$/);
  await Deno.remove(run, { recursive: true });
});

test("every schedule of the reference can be asked for", async () => {
  for (const schedule of Object.values(referenceSchedules)) {
    assert.equal(await parsed("--schedule", schedule), { schedule });
  }
  const flags = "--schedule-cycles 3 --schedule-power 0.5 --schedule-end 1e-6";
  assert.equal(await parsed(...flags.split(" ")), {
    scheduleCycles: 3,
    schedulePower: 0.5,
    scheduleEnd: 1e-6,
  });
});

test("what no optimiser could do with is refused", async () => {
  const refused = [
    ["--optimizer", "sgd"],
    ["--schedule", "constant_w_warmup"],
    ["--adafactor-decay-rate", "0.8"],
    ["--adafactor-beta1", "1"],
    ["--adam-epsilon", "0"],
    ["--schedule-power", "-1"],
  ];
  for (const flags of refused) {
    const error = await parsed(...flags).then(() => undefined, (error) => error);
    assert.match(error?.message ?? "", /invalid/, flags.join(" "));
  }
});

test.run();
