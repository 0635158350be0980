import { suite } from "uvu";
import * as assert from "uvu/assert";
import { idleFlags } from "../../../cli/frame/idle.ts";
import { trainCommand } from "../../../cli/train.ts";
import { type Options, resolveSettings } from "../../../src/train/settings.ts";
import { tinyConfig } from "../../train/tiny-model.ts";

const test = suite("frame/idle");

/** What is said of a command line that trains rte. */
async function said(args: string): Promise<string[]> {
  const command = trainCommand().exitOverride().action(() => {});
  await command.parseAsync(args.split(" ").filter(Boolean), { from: "user" });
  const options = { model: "/t5", ...command.opts<Options>() };
  const { tasks = ["rte"] } = options;
  return idleFlags(command, resolveSettings(options, tinyConfig, "config.json", tasks).settings);
}

/** A flag that changes nothing by itself → what it needs. */
const idle: Readonly<Record<string, string>> = {
  "--schedule-cycles 2": "--schedule cosine-with-restarts",
  "--schedule-power 2": "--schedule polynomial",
  "--schedule-end 1e-6": "--schedule polynomial",
  "--adafactor-beta1 0.5": "--optimizer adafactor",
  "--adafactor-scale-parameter": "--optimizer adafactor",
  "--adafactor-warmup-init": "--optimizer adafactor --adafactor-relative-step",
  "--accumulate-mean batches": "--accumulate 2 --loss-reduction mean",
  "--filter-nulls": "--tasks squad",
};

test("a flag that changes nothing is named, and is not where it does", async () => {
  for (const [flag, needed] of Object.entries(idle)) {
    const [sentence, ...others] = await said(flag);
    assert.equal(others, []);
    assert.ok(
      sentence?.startsWith(`${flag.split(" ")[0]} changes nothing here: it is about `),
      flag,
    );
    assert.equal(await said(`${flag} ${needed}`), []);
  }
});

/** Flags that another makes idle. */
const opposed: readonly [flag: string, by: string][] = [
  ["--adam-beta2 0.9", "--optimizer adafactor"],
  ["--learning-rate 0.1", "--optimizer adafactor --adafactor-relative-step"],
  ["--warmup-steps 5", "--schedule constant"],
  ["--encoder-adapter-dim 5", "--encoder-adapter none"],
  ["--hypernetwork-bottleneck 5", "--decoder-adapter manual"],
  ["--process-encoder-output", "--decoder-adapter manual"],
  ["--test-limit 5", "--final-splits none"],
  ["--eval-limit 5", "--eval-every 0"],
  ["--beams 2", "--eval-every 0 --final-splits none"],
  ["--load-best", "--eval-every 0"],
];

test("so is one that another flag leaves without effect", async () => {
  for (const [flag, by] of opposed) {
    assert.equal(await said(flag), []);
    assert.is((await said(`${flag} ${by}`)).length, 1, `${flag} ${by}`);
  }
});

test("nothing is said of what a file says, or of what switches off what is off", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(file, JSON.stringify({ scheduleCycles: 3, adafactorBeta1: 0.1 }));
  assert.equal(await said(`--config ${file} --no-filter-nulls --no-adafactor-relative-step`), []);
  await Deno.remove(file);
});

test.run();
