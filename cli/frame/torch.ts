/** Starting and ending the Python process that PyTorch is measured in. */

import { type Torch, torchFiles } from "../../src/bench/peers/torch.ts";
import type { Subject } from "../../src/bench/subjects.ts";
import { UserError } from "../../src/errors.ts";
import { projectPath } from "./project.ts";

/** What the reference implementation computes with a small model of the same kind. */
const FIXTURE = projectPath("test/fixtures/golden/03_manual_generated");

/** The Python program. */
const SCRIPT = projectPath("bench/pytorch.py");

/** A child process that has a model, until it is disposed of. */
export type TorchProcess = Torch & AsyncDisposable;

/**
 * Starts PyTorch with a model, once the program has been held against the reference implementation.
 *
 * @throws {UserError} if there is no python3, it has no torch, or it does not compute what it should
 */
export async function startTorch(subject: Subject): Promise<TorchProcess> {
  await requireTorch();
  await requireReference();
  const directory = await Deno.makeTempDir({ prefix: "hyperdecoder-bench-" });
  for (const [name, bytes] of torchFiles(subject)) {
    await Deno.writeFile(`${directory}/${name}`, bytes);
  }
  const child = new Deno.Command("python3", {
    args: ["-B", SCRIPT, directory],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = lines(child.stdout);
  const next = async () => {
    const { value, done } = await output.next();
    if (done) throw new Error("PyTorch ended; what it said is above.");
    return JSON.parse(value);
  };
  const { version, device } = await next();
  return {
    version,
    device,
    async obey(command) {
      await input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
      return await next();
    },
    async [Symbol.asyncDispose]() {
      await input.close();
      await child.status;
      await Deno.remove(directory, { recursive: true });
    },
  };
}

async function requireTorch(): Promise<void> {
  let found: Deno.CommandOutput;
  try {
    // To import it takes long.
    const find = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('torch'))";
    found = await new Deno.Command("python3", { args: ["-c", find] }).output();
  } catch {
    throw new UserError("--torch needs Python: there is no python3 on the PATH");
  }
  if (found.success) return;
  throw new UserError("--torch needs PyTorch: python3 has no module torch; pip install torch");
}

async function requireReference(): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("python3", {
    args: ["-B", SCRIPT, "--check", FIXTURE],
  }).output();
  if (success) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).join("\n");
  throw new UserError(
    `this PyTorch does not compute what the reference implementation does, so there is nothing to ` +
      `compare with; its largest errors: ${said.trim()}`,
  );
}

async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
