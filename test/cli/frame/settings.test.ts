import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withSettings } from "../../../cli/frame/settings.ts";
import { referenceSchedules } from "../../../src/optim/schedule.ts";

const test = suite("frame/settings");

/** What a command with these flags is told. */
async function parsed(...flags: string[]): Promise<Record<string, unknown>> {
  const command = withSettings(new Command()).exitOverride().configureOutput({ writeErr() {} })
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
