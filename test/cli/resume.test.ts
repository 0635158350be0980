import { cp } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { directoryStore } from "../../src/platform/files.ts";
import { loadCheckpoint, type Which } from "../../src/train/checkpoint.ts";
import { lines } from "../lines.ts";
import { writeTinyModel } from "../train/tiny-model.ts";

const test = suite<{ directory: string }>("cli/resume");

const script = new URL("../../cli/train.ts", import.meta.url).pathname;

test.before(async (context) => {
  context.directory = await Deno.makeTempDir();
  await Deno.mkdir(`${context.directory}/model`);
  await writeTinyModel(`${context.directory}/model`);
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

// Dropout (from the model's config), accumulation, evaluations, a schedule, and the optimiser with state of
// the most kinds: all that a resume must take up again. Periods that do not divide each other make stops
// of every kind.
const settings = "--batch-size 4 --accumulate 2 --tasks sentiment --log-every 3 " +
  "--save-every 8 --eval-every 40 --eval-limit 8 --max-source-length 20 --max-target-length 4 " +
  "--encoder-adapter-dim 4 --decoder-adapter-dim 3 --hypernetwork-bottleneck 5 " +
  "--learning-rate 0.01 --warmup-steps 0.1 --schedule cosine --seed 7 " +
  "--optimizer adafactor --adafactor-beta1 0.9 --adafactor-scale-parameter --weight-decay 0.1 " +
  "--loss-reduction mean";

/** Runs `deno task train` in a process of its own, and sends it a signal once `after` steps are done. */
async function train(
  context: { directory: string },
  args: string,
  stop?: { signal: Deno.Signal; after: number },
  env: Record<string, string> = {},
): Promise<Deno.CommandStatus> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--json", ...args.split(" ")],
    cwd: context.directory,
    env,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let isStopped = false;
  for await (const line of lines(child.stdout)) {
    if (isStopped || stop === undefined || JSON.parse(line).step < stop.after) continue;
    isStopped = true;
    try {
      child.kill(stop.signal);
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return await child.status;
}

/**
 * Sends a run a signal once `after` steps are done, again and again from where it was until it comes in time: on
 * a busy machine, all steps may be done before this process hears of any.
 */
async function stopInTime(
  context: { directory: string },
  { run, args, signal, after, end, env }: {
    run: string;
    args: string;
    signal: Deno.Signal;
    after: number;
    /** The steps that it would do otherwise. */
    end: number;
    env?: Record<string, string>;
  },
): Promise<{ status: Deno.CommandStatus; step: number }> {
  const directory = `${context.directory}/${run}`, before = `${directory}-before`;
  const isResumed = await Deno.stat(directory).then(() => true, () => false);
  if (isResumed) await cp(directory, before, { recursive: true });
  while (true) {
    const status = await train(context, args, { signal, after }, env);
    const { step } = await loadCheckpoint(directoryStore(`${directory}/checkpoints`));
    if (step < end) return { status, step };
    await Deno.remove(directory, { recursive: true });
    if (isResumed) await cp(before, directory, { recursive: true });
  }
}

/** All that a run without evaluations leaves behind, without how fast it was. */
async function trained(run: string) {
  const text = await Deno.readTextFile(`${run}/metrics.jsonl`);
  const metrics = text.trimEnd().split("\n").map((line) => {
    const { tokensPerSecond: _, ...rest } = JSON.parse(line);
    return rest;
  });
  return { metrics, latest: await contents(run, "latest") };
}

/** The same of a run with evaluations. */
async function outcome(run: string) {
  return { ...await trained(run), best: await contents(run, "best") };
}

/** A checkpoint with the bytes of its files. */
async function contents(run: string, which: Which) {
  const { step, state, files } = await loadCheckpoint(directoryStore(`${run}/checkpoints`), which);
  const bytes = new Map<string, Uint8Array>();
  for (const [name, file] of Object.entries(files)) bytes.set(name, await file.read(0, file.size));
  return { step, state, bytes };
}

test("a run that was killed, interrupted and extended ends bit for bit as one that was only extended", async (context) => {
  const latestStep = async (run: string) =>
    (await loadCheckpoint(directoryStore(`${context.directory}/${run}/checkpoints`))).step;

  assert.is((await train(context, `--model model --out whole --steps 50 ${settings}`)).code, 0);
  assert.is((await train(context, "--resume whole --steps 100")).code, 0);

  const begin = `--model model --out broken --steps 50 ${settings}`;
  const killed = await stopInTime(context, {
    ...{ run: "broken", args: begin },
    ...{ signal: "SIGKILL", after: 12, end: 50 },
  });
  assert.is(killed.status.signal, "SIGKILL");

  // The same command line again, with --resume, is as good as --resume alone.
  assert.is((await train(context, `--resume ${begin}`)).code, 0);
  assert.is(await latestStep("broken"), 50);

  const interrupted = await stopInTime(context, {
    ...{ run: "broken", args: "--resume broken --steps 100" },
    ...{ signal: "SIGINT", after: 62, end: 100 },
  });
  assert.is(interrupted.status.code, 130);
  assert.ok(interrupted.step >= 62, `step ${interrupted.step}`);

  // To how many steps it was extended is known from then on.
  assert.is((await train(context, "--resume broken")).code, 0);

  const [expected, actual] = await Promise.all(
    ["whole", "broken"].map((run) => outcome(`${context.directory}/${run}`)),
  );
  assert.is(expected.metrics.length, 100 + 4 + 1);
  assert.equal(expected.metrics[52], { step: 50, changes: { steps: { from: 50, to: 100 } } });
  assert.equal(actual.metrics, expected.metrics);
  assert.is(actual.latest.step, 100);
  assert.equal(actual, expected);
});

test.exhaustive("a run begun with --tune goes on with the kernels it was begun with, whatever the machine chose", async (context) => {
  const { directory } = context;
  const cache = `${directory}/cache`;
  const env = { XDG_CACHE_HOME: cache, DENO_DIR: await denoDirectory() };
  // Batches of one shape and a small model: to measure a class of products takes half a second.
  const settings = "--tune --model model --steps 100 --batch-size 4 --tasks sentiment " +
    "--log-every 1 --save-every 8 --eval-every 0 --final-splits none --max-source-length 8 " +
    "--max-target-length 4 --encoder-adapter-dim 4 --decoder-adapter none";
  assert.is((await train(context, `--out tuned ${settings}`, undefined, env)).code, 0);
  const { status } = await stopInTime(context, {
    ...{ run: "begun", args: `--out begun ${settings}` },
    ...{ signal: "SIGINT", after: 20, end: 100, env },
  });
  assert.is(status.code, 130);
  const choices = await Deno.readTextFile(`${directory}/begun/tuning.json`);
  assert.ok(Object.keys(JSON.parse(choices).choices).length > 10);

  await Deno.remove(`${cache}/hyperdecoder/tuning`, { recursive: true });
  assert.is((await train(context, "--resume begun", undefined, env)).code, 0);
  assert.is(await Deno.readTextFile(`${directory}/begun/tuning.json`), choices);
  const left = [...Deno.readDirSync(`${cache}/hyperdecoder`)].map(({ name }) => name);
  assert.not(left.includes("tuning"), "nothing was measured anew");
  assert.equal(await trained(`${directory}/begun`), await trained(`${directory}/tuned`));
});

/** Where Deno keeps what it has downloaded, which moves with the other caches unless it is told. */
async function denoDirectory(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

test.run();
