import { Command, Option } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  fraction,
  list,
  positiveInteger,
  positiveNumber,
  wholeNumber,
  withConfig,
  withOpposites,
} from "../../../cli/frame/config.ts";
import { UserError } from "../../../src/errors.ts";

const test = suite<{ file: string }>("frame/config");

test.before.each(async (context) => {
  context.file = await Deno.makeTempFile({ suffix: ".json" });
});
test.after.each((context) => Deno.remove(context.file));

/** The options that a command gets from these flags over a file of this text. */
async function options(file: string, text: string, ...flags: string[]): Promise<unknown> {
  await Deno.writeTextFile(file, text);
  const command = new Command()
    .exitOverride()
    .option("--steps <count>", "", positiveInteger, 600)
    .option("--learning-rate <rate>", "", positiveNumber)
    .option("--tasks <names>", "", list)
    .option("--out <directory>", "")
    .option("--profile", "")
    .option("--no-save", "")
    .option("--resume [directory]", "")
    .addOption(new Option("--split <name>").choices(["validation", "test"]))
    .action(() => {});
  await withConfig(command).parseAsync(["--config", file, ...flags], { from: "user" });
  const { config: _, ...values } = command.opts();
  return values;
}

async function refuses(file: string, text: string, message: string | RegExp): Promise<void> {
  const error = await options(file, text, "--steps", "7").then(() => undefined, (error) => error);
  assert.instance(error, UserError, text);
  if (message instanceof RegExp) assert.match(error.message, message);
  else assert.is(error.message, `${file}${message}`);
}

test("flags win over the file, the file over defaults", async ({ file }) => {
  const text = '{"steps": 20, "learningRate": 0.001, "out": "runs/a"}';
  assert.equal(await options(file, text, "--out", "runs/b"), {
    steps: 20,
    learningRate: 0.001,
    out: "runs/b",
    save: true,
  });
  // A flag that repeats the default was still given.
  assert.equal(await options(file, '{"steps": 20}', "--steps", "600"), { steps: 600, save: true });
});

test("every kind of option can come from the file", async ({ file }) => {
  const values = {
    learningRate: 1e-4,
    tasks: ["sst2", "rte"],
    profile: true,
    save: false,
    resume: true,
    split: "test",
  };
  assert.equal(await options(file, JSON.stringify(values)), { steps: 600, ...values });
  assert.equal(await options(file, '{"tasks": "sst2,rte", "resume": "runs/a"}'), {
    steps: 600,
    save: true,
    tasks: ["sst2", "rte"],
    resume: "runs/a",
  });
});

test("what a file switches on or off, a flag switches back", async ({ file }) => {
  const on = '{"profile": true, "save": true, "resume": "runs/a"}';
  assert.equal(await options(file, on, "--no-profile", "--no-save", "--no-resume"), {
    steps: 600,
    profile: false,
    save: false,
    resume: false,
  });
  assert.equal(await options(file, '{"profile": false}', "--profile"), {
    steps: 600,
    save: true,
    profile: true,
  });
});

test("the help shows a flag and its opposite as one", () => {
  const command = withOpposites(
    new Command().option("--profile", "measure").option("--resume [run]", "go on")
      .option("--tune", "measure").option("--no-tune", "estimate").option("--out <file>", "write"),
  );
  const shown = command.helpInformation().match(/^ +-\S+( [[<]\w+[\]>])?/gm)!.map((term) =>
    term.trim()
  );
  assert.equal(shown, [
    "--[no-]profile",
    "--[no-]resume [run]",
    "--tune",
    "--no-tune",
    "--out <file>",
    "-h,",
  ]);
});

test("an unknown key is refused with the nearest", async ({ file }) => {
  await refuses(file, '{"stepz": 1}', ': "stepz" is not an option (did you mean "steps"?)');
  await refuses(file, '{"learning-rate": 1}', /is not an option \(did you mean "learningRate"\?\)/);
  await refuses(file, '{"config": "other.json"}', ': "config" is not an option');
  await refuses(file, '{"__proto__": 1}', ': "__proto__" is not an option');
});

test("a value of the wrong kind is refused, even where a flag hides it", async ({ file }) => {
  await refuses(file, '{"steps": "20"}', ': "steps" is "20", but it must be a number');
  await refuses(
    file,
    '{"steps": 0}',
    ': "steps" is 0, but it must be a whole number of at least 1',
  );
  await refuses(file, '{"steps": null}', ': "steps" is null, but it must be a number');
  await refuses(file, '{"out": 1}', ': "out" is 1, but it must be a string');
  await refuses(file, '{"profile": "yes"}', ': "profile" is "yes", but it must be true or false');
  await refuses(file, '{"tasks": [1]}', ': "tasks" is [1], but it must be a list of strings');
  await refuses(
    file,
    '{"split": "dev"}',
    ': "split" is "dev", but it must be one of validation, test',
  );
});

test("a file that is missing or not a JSON object is refused", async ({ file }) => {
  await refuses(file, "{", /is not valid JSON: /);
  await refuses(file, '{"a": 1,\n}', /is not valid JSON: .*line 2/);
  await refuses(file, "[]", / must hold one JSON object of options/);
  const missing = new Command().exitOverride().action(() => {});
  const parsed = withConfig(missing).parseAsync(["--config", "/no/such.json"], { from: "user" });
  const error = await parsed.then(() => undefined, (error) => error);
  assert.is(error.message, "cannot read /no/such.json: no such file or directory");
});

test("numbers are decimal and within their range", () => {
  assert.is(positiveInteger("1e3"), 1000);
  assert.is(wholeNumber("0"), 0);
  assert.is(positiveNumber(".5"), 0.5);
  assert.is(positiveNumber("3e-4"), 3e-4);
  assert.is(fraction("0"), 0);
  const refused: [(text: string) => number, string[]][] = [
    [positiveInteger, ["0", "-1", "1.5", "", " ", "ten", "0x10", "1,000", "9007199254740993"]],
    [wholeNumber, ["-1", "0.5", "Infinity"]],
    [positiveNumber, ["0", "-1", "1e999", "NaN", "Infinity"]],
    [fraction, ["1", "-0.1"]],
  ];
  for (const [parse, texts] of refused) {
    for (const text of texts) assert.throws(() => parse(text), /^it must be/, text);
  }
});

test("lists are names without blanks, and none may be empty", () => {
  assert.equal(list("sst2, rte"), ["sst2", "rte"]);
  for (const text of ["", "a,", ",a", "a,,b"]) {
    assert.throws(() => list(text), /separated by commas/);
  }
});

test.run();
