/**
 * `deno task test`: runs every test file, or those whose path contains one of the arguments.
 *
 * Files are dealt to a few processes. Each process runs many files, so that they share one GPU device
 * and its compiled shaders, yet a file that crashes or hangs takes only itself down: its process is
 * replaced. Ends with the line `N passed, N failed`; exits with 1 if anything failed.
 */
import { Command } from "commander";
import { run } from "../cli/frame/command.ts";
import { UserError } from "../src/errors.ts";
import { variables } from "./choice.ts";
import { testFiles } from "./files.ts";
import { TestProcess } from "./process.ts";
import { Tally } from "./tally.ts";

/** A GPU test keeps a core busy and, on a CPU adapter, several: more processes than this don't pay. */
const MOST_PROCESSES = 4;

interface Options {
  readonly exhaustive: boolean;
  readonly only?: string;
  readonly times: boolean;
}

const command = new Command("deno task test")
  .description("Runs the tests.")
  .argument("[paths...]", "parts of the paths of the files to run (default: all files)")
  .option("--exhaustive", "also run what takes long and seldom tells more", false)
  .option("--only <name>", "run only tests whose name contains this")
  .option("--times", "list what took long, in CPU time, which other work does not lengthen", false)
  .addHelpText("after", `\n${environmentHelp()}`)
  .action(async (paths: string[], { exhaustive, only, times }: Options) => {
    const files = (await testFiles())
      .filter((path) => paths.length === 0 || paths.some((part) => `test/${path}`.includes(part)));
    if (files.length === 0) {
      throw new UserError(`no test file's path contains ${paths.join(" or ")}`);
    }
    if (exhaustive) Deno.env.set(variables.exhaustive, "1");
    if (only !== undefined) Deno.env.set(variables.only, only);
    await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", new URL("adapter.ts", import.meta.url).href],
    }).spawn().status;
    const tally = new Tally({ exhaustive, times });
    const processes = Math.min(navigator.hardwareConcurrency, MOST_PROCESSES, files.length);
    const queue = files.slice();
    await Promise.all(Array.from({ length: processes }, () => runAll(queue, tally)));
    if (only !== undefined && tally.passed + tally.failed + tally.skipped === 0) {
      throw new UserError(`no test's name contains "${only}"`);
    }
    console.log(`\n${tally.report()}`);
    Deno.exitCode = tally.failed ? 1 : 0;
  });

async function runAll(queue: string[], tally: Tally): Promise<void> {
  let process: TestProcess | undefined;
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    process ??= new TestProcess();
    if (!await process.run(path, tally)) process = undefined;
  }
  await process?.close();
}

function environmentHelp(): string {
  return `Environment variables:
  DENO_WEBGPU_BACKEND=gl    test through OpenGL; or vulkan, metal, dx12
  HYPERDECODER_TEST_GPU     swiftshader or dawn: test with that instead of this machine's GPU
  HYPERDECODER_TEST_DATA    a folder of published data sets, tokenizers and configurations to read`;
}

await run(command);
