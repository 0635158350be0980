import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fileURLToPath } from "node:url";

const test = suite("deno task verify");

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Makes a Deno process choose OpenGL. */
const OPENGL = { DENO_WEBGPU_BACKEND: "gl", XDG_RUNTIME_DIR: "/tmp" };

async function hasOpenGl(): Promise<boolean> {
  const script = "Deno.exit(await navigator.gpu.requestAdapter() === null ? 1 : 0)";
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", script], env: OPENGL });
  return (await command.output()).success;
}

async function verify(args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", path("../../cli/verify.ts"), ...args],
    env,
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

test("a table, a summary and exit code 0 for a directory that passes", async () => {
  const { code, stdout } = await verify([path("../fixtures/golden/10_none_none_full_finetune")]);
  assert.is(code, 0);
  assert.match(stdout, /^quantity +values +worst error +tolerance +verdict$/m);
  assert.match(stdout, /^training: final parameters +57984 .* 5e-6 absolute +pass$/m);
  assert.match(stdout, /0 miss/);
});

test("exit code 1 and where it missed for a directory that does not, and all of it as JSON", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const source = path("../fixtures/golden/10_none_none_full_finetune");
    const training = JSON.parse(await Deno.readTextFile(`${source}/train.json`));
    training.loss[3] = "Infinity";
    await Deno.writeTextFile(`${directory}/train.json`, JSON.stringify(training));
    const meta = JSON.parse(await Deno.readTextFile(`${source}/meta.json`));
    await Deno.mkdir(`${directory}/weights`);
    meta.model_files = ["weights/model.safetensors"];
    await Deno.writeTextFile(`${directory}/meta.json`, JSON.stringify(meta));
    await Deno.copyFile(
      path("../fixtures/golden/01_none_none/model.safetensors"),
      `${directory}/weights/model.safetensors`,
    );
    for (const file of ["config.json", "train.safetensors"]) {
      await Deno.copyFile(`${source}/${file}`, `${directory}/${file}`);
    }
    const { code, stdout } = await verify(["--json", directory]);
    assert.is(code, 1);
    const { passed, reports: [report] } = JSON.parse(stdout);
    assert.not(passed);
    const [miss] = report.checks.filter(({ verdict }: { verdict: string }) => verdict === "miss");
    assert.is(miss.quantity, "training: loss per step");
    assert.is(miss.worstError, "Infinity");
    assert.is(miss.worstAt, "step 3");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("one sentence and exit code 2 for what is no fixture directory", async () => {
  const directory = path("../fixtures/golden/base");
  const { code, stdout, stderr } = await verify([directory]);
  assert.is(code, 2);
  assert.is(stdout, "");
  assert.match(stderr, /^error: .*golden\/base is no fixture directory: .*meta\.json\.\n$/);
});

// OpenGL has compilers of its own, which get other things wrong than those of Vulkan. A machine that has nothing
// else verifies all through it in a quick run, too.
if (await hasOpenGl()) {
  test.exhaustive("through OpenGL every fixture passes, too", async () => {
    const { code, stdout } = await verify([], OPENGL);
    assert.is(code, 0, stdout);
    assert.match(stdout, / quantities pass, 0 miss, /);
  });
} else {
  test.skip("through OpenGL every fixture passes, too", "this machine has no OpenGL for WebGPU");
}

test.run();
