import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("frame/command");

const sample = new URL("./sample.ts", import.meta.url).pathname;

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", sample, ...args] });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

test("a command that succeeds exits with 0 and says nothing on stderr", async () => {
  const { code, stdout, stderr } = await run("--steps", "5", "--tasks", "sst2, rte", "--no-save");
  assert.equal([code, stderr], [0, ""]);
  assert.equal(JSON.parse(stdout), {
    steps: 5,
    learningRate: 3e-4,
    dropout: 0,
    tasks: ["sst2", "rte"],
    save: false,
  });
});

test("--help lists every option with its default, on stdout", async () => {
  const { code, stdout, stderr } = await run("--help");
  assert.equal([code, stderr], [0, ""]);
  assert.match(stdout, /Usage: sample \[options\]/);
  assert.match(stdout, /--steps <count> +optimiser steps \(default: 600\)/);
  assert.match(stdout, /--split <name> +split \(choices: "validation", "test"\)/);
  assert.match(stdout, /--config <file>/);
});

test("a wrong command line is one sentence and exit code 2", async () => {
  const cases: [string[], string][] = [
    [["--stpes", "5"], "error: unknown option '--stpes' (did you mean --steps?)\n"],
    [["--xyzzy"], "error: unknown option '--xyzzy'\n"],
    [["--steps"], "error: option '--steps <count>' argument missing\n"],
    [
      ["--steps", "1.5"],
      "error: option '--steps <count>' argument '1.5' is invalid: it must be a whole number of at least 1\n",
    ],
    [
      ["--split", "dev"],
      "error: option '--split <name>' argument 'dev' is invalid: allowed choices are validation, test.\n",
    ],
    [["extra"], "error: too many arguments. Expected 0 arguments but got 1: extra.\n"],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run(...args);
    assert.equal([code, stdout, stderr], [2, "", message]);
  }
});

test("what the user can mend is one sentence and exit code 2", async () => {
  const { code, stderr } = await run("--fail", "user");
  assert.equal([code, stderr], [2, "error: no data in /nowhere: give --data DIR\n"]);
});

test("a defect shows its stack, says it is a bug, and exits with 70", async () => {
  for (const [how, message] of [["defect", "this is undefined"], ["rejection", "nobody awaits"]]) {
    const { code, stderr } = await run("--fail", how);
    assert.is(code, 70);
    assert.match(stderr, new RegExp(`TypeError: ${message}[^]*at .*sample\\.ts`));
    assert.match(stderr, /This is a bug in hyperdecoder/);
  }
});

test.run();
