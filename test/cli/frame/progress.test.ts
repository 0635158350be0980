import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createProgress, duration } from "../../../cli/frame/progress.ts";

const test = suite("frame/progress");

/** The lines of a run whose steps take `seconds` each by its clock, the first ten times that. */
function linesOf(total: number, seconds: number, { start = 0, stopAt = total } = {}): string[] {
  const lines: string[] = [];
  let time = 5000;
  const progress = createProgress({
    total,
    start,
    interval: 10,
    print: (line) => lines.push(line),
    now: () => time,
  });
  for (let step = start + 1; step <= stopAt; step++) {
    time += seconds * 1000 * (step === start + 1 ? 10 : 1);
    progress.update(step, { loss: 2 / step, tokensPerSecond: 12345.6 });
  }
  progress.stop();
  return lines;
}

test("without a terminal a line is printed at the first step, every interval, and at the last", () => {
  assert.equal(linesOf(60, 0.5), [
    "step 1/60  loss 2.000  12,346 tokens/s",
    "step 21/60  loss 0.09524  12,346 tokens/s  20s left",
    "step 41/60  loss 0.04878  12,346 tokens/s  10s left",
    "step 60/60  loss 0.03333  12,346 tokens/s",
  ]);
});

test("a resumed run judges its pace by its own steps", () => {
  const [, second] = linesOf(1000, 10, { start: 900 });
  assert.is(second, "step 902/1000  loss 0.002217  12,346 tokens/s  16m 20s left");
});

test("a run that stops early shows where", () => {
  assert.is(linesOf(60, 0.1, { stopAt: 30 }).at(-1)?.split("  ")[0], "step 30/60");
});

test("a log gets no control characters", async () => {
  const code = `
    import { createProgress } from ${
    JSON.stringify(import.meta.resolve("../../../cli/frame/progress.ts"))
  };
    const progress = createProgress({ total: 2 });
    progress.update(1, { loss: 1, tokensPerSecond: 10 });
    progress.log("evaluated");
    progress.update(2, { loss: 0.5, tokensPerSecond: 10 });
    progress.stop();
  `;
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdin: "null" });
  const { stdout, stderr } = await command.output();
  assert.is(stdout.length, 0);
  assert.equal(new TextDecoder().decode(stderr).split("\n"), [
    "step 1/2  loss 1.000  10 tokens/s",
    "evaluated",
    "step 2/2  loss 0.5000  10 tokens/s",
    "",
  ]);
});

test("durations are told in their two largest units", () => {
  assert.equal([0.4, 59.6, 200, 3599.7, 7500].map(duration), [
    "0s",
    "1m 00s",
    "3m 20s",
    "1h 00m",
    "2h 05m",
  ]);
});

test.run();
