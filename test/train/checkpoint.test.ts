import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { directoryStore } from "../../src/platform/files.ts";
import {
  type Checkpoint,
  type CheckpointStore,
  hasCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
  type Which,
} from "../../src/train/checkpoint.ts";

/** A checkpoint whose every part tells its step. */
function checkpointOf(step: number): Checkpoint<Uint8Array> {
  const files = {
    "model.safetensors": new Uint8Array(200_000).fill(step),
    "optimizer.safetensors": new Uint8Array(300_000).fill(step + 1),
  };
  return { step, files, state: { position: step * 8, losses: [step / 3] } };
}

// Run by the kill test below, in a process of its own: saves without end, announcing each operation.
if (Deno.args[0] === "child:save") {
  const disk = directoryStore(Deno.args[1]);
  const announced = {
    ...disk,
    writeAtomic: (path: string, bytes: Uint8Array) => {
      console.log("write", path);
      return disk.writeAtomic(path, bytes);
    },
    remove: (name: string) => {
      console.log("remove", name);
      return disk.remove(name);
    },
  };
  let step = await hasCheckpoint(disk) ? (await loadCheckpoint(disk)).step : 0;
  while (true) await saveCheckpoint(announced, checkpointOf(++step), { best: step % 3 === 0 });
}

/** A checkpoint as it was before it was saved. */
async function load(store: CheckpointStore, which?: Which): Promise<Checkpoint<Uint8Array>> {
  const { files, ...rest } = await loadCheckpoint(store, which);
  const contents = await Promise.all(
    Object.entries(files).map(async ([name, file]) => [name, await file.read(0, file.size)]),
  );
  return { ...rest, files: Object.fromEntries(contents) };
}

const test = suite<{ directory: string }>("checkpoint");

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  return error.message;
}

test("what was saved is loaded", async ({ directory }) => {
  const store = directoryStore(`${directory}/not/yet/there`);
  assert.is(await hasCheckpoint(store), false);
  await saveCheckpoint(store, checkpointOf(7));
  assert.equal(await load(store), checkpointOf(7));
});

test("the latest and the best are kept, and nothing else of ours", async ({ directory }) => {
  const store = directoryStore(directory);
  await Deno.writeTextFile(`${directory}/metrics.jsonl`, "");
  await saveCheckpoint(store, checkpointOf(1));
  assert.match(await refusal(loadCheckpoint(store, "best")), /holds no best checkpoint yet/);
  await saveCheckpoint(store, checkpointOf(2), { best: true });
  await saveCheckpoint(store, checkpointOf(3));
  await saveCheckpoint(store, checkpointOf(4));
  assert.equal(await load(store, "best"), checkpointOf(2));
  assert.equal(await load(store), checkpointOf(4));
  const kept = ["manifest.json", "metrics.jsonl", "step-000002", "step-000004"];
  assert.equal(await store.list(), kept);
});

test("a step saved again does not touch the files that count until it is committed", async ({ directory }) => {
  const store = directoryStore(directory);
  await saveCheckpoint(store, checkpointOf(5), { best: true });
  const failing = {
    ...store,
    writeAtomic: (path: string, bytes: Uint8Array) =>
      path === "manifest.json"
        ? Promise.reject(new Error("power failure"))
        : store.writeAtomic(path, bytes),
  };
  const changed = { ...checkpointOf(6), step: 5 };
  await saveCheckpoint(failing, changed).catch(() => {});
  assert.equal(await load(store), checkpointOf(5));
  await saveCheckpoint(store, changed);
  assert.equal(await load(store), changed);
  assert.equal(await load(store, "best"), checkpointOf(5));
  assert.equal(await store.list(), ["manifest.json", "step-000005", "step-000005-2"]);
});

test("a truncated, altered or missing file is refused by name", async ({ directory }) => {
  const store = directoryStore(directory);
  await saveCheckpoint(store, checkpointOf(5));
  const path = `${directory}/step-000005/optimizer.safetensors`;
  const whole = await Deno.readFile(path);

  await Deno.writeFile(path, whole.subarray(0, -1));
  assert.is(
    await refusal(loadCheckpoint(store)),
    `the checkpoint is damaged: ${path} has 299999 bytes where 300000 were saved`,
  );
  whole[123] ^= 1;
  await Deno.writeFile(path, whole);
  assert.is(
    await refusal(loadCheckpoint(store)),
    `the checkpoint is damaged: ${path} is not what was saved: its checksum differs`,
  );
  await Deno.remove(path);
  assert.is(await refusal(loadCheckpoint(store)), `cannot read ${path}: no such file or directory`);
});

test("a damaged manifest is refused, by a save too, which then overwrites nothing", async ({ directory }) => {
  const store = directoryStore(directory);
  assert.is(await refusal(loadCheckpoint(store)), `${directory} holds no checkpoint`);
  await saveCheckpoint(store, checkpointOf(5));
  const manifest = await Deno.readTextFile(`${directory}/manifest.json`);
  const escaping = manifest.replaceAll("step-000005", "../step-000005");
  for (const damaged of [manifest.slice(0, -2), "", "null", '{"format":2}', escaping]) {
    await Deno.writeTextFile(`${directory}/manifest.json`, damaged);
    assert.match(await refusal(loadCheckpoint(store)), /manifest\.json is damaged or of another/);
    await refusal(saveCheckpoint(store, checkpointOf(6)));
    assert.equal(await store.list(), ["manifest.json", "step-000005"]);
  }
});

test("state that JSON cannot hold is refused at the save", async ({ directory }) => {
  const store = directoryStore(directory);
  await saveCheckpoint(store, checkpointOf(1));
  const diverged = { ...checkpointOf(2), state: { score: NaN } };
  const error = await saveCheckpoint(store, diverged).then(() => undefined, (error) => error);
  assert.match(error.message, /cannot hold NaN \(in "score"\)/);
  assert.is((await loadCheckpoint(store)).step, 1);
});

test("a process killed while it saves leaves whole checkpoints", async ({ directory }) => {
  const store = directoryStore(directory);
  let committed = 0;
  for (let round = 0; round < 8; round++) {
    const saver = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename!, "child:save", directory],
      stdout: "piped",
    }).spawn();
    // The operation announced last is under way, or not yet begun, when the signal arrives.
    let operations = 10 + Math.floor(Math.random() * 8);
    for await (const chunk of saver.stdout) {
      operations -= new TextDecoder().decode(chunk).split("\n").length - 1;
      if (operations <= 0) break;
    }
    saver.kill("SIGKILL");
    assert.is((await saver.status).signal, "SIGKILL");

    const latest = await load(store);
    assert.equal(latest, checkpointOf(latest.step));
    assert.ok(latest.step > committed, `step ${latest.step} after ${committed}`);
    committed = latest.step;
    if (await hasCheckpoint(store, "best")) {
      const best = await load(store, "best");
      assert.equal(best, checkpointOf(best.step));
      assert.is(best.step % 3, 0);
    }
  }

  await saveCheckpoint(store, checkpointOf(committed + 1), { best: true });
  const kept = ["manifest.json", `step-${String(committed + 1).padStart(6, "0")}`];
  assert.equal(await store.list(), kept);
  assert.is((await Array.fromAsync(Deno.readDir(`${directory}/${kept[1]}`))).length, 2);
});

test.run();
