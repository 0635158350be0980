/**
 * Runs every test file, or those whose path contains one of the arguments: `deno task test graph/ops`.
 *
 * Files are dealt to a few processes. Each process runs many files, so that they share one GPU device
 * and its compiled shaders, yet a file that crashes or hangs takes only itself down: its process is
 * replaced. Ends with the line `N passed, N failed`; exits with 1 if anything failed.
 */
import { testFiles } from "./files.ts";
import { lines } from "./lines.ts";
import { MARK, type Report } from "./worker.ts";

/** A file that finishes no test in this time hangs: uvu prints a dot for each. The longest takes a quarter of it. */
const PATIENCE_MS = 300_000;

/** A GPU test keeps a core busy and, on a CPU adapter, several: more processes than this don't pay. */
const MOST_WORKERS = 4;

const DIRECTORY = new URL(".", import.meta.url);

class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  failures: string[] = [];

  add(path: string, report: NonNullable<Report>): void {
    this.passed += report.passed;
    this.failed += report.failed;
    this.skipped += report.skipped;
    if (report.failures) this.failures.push(`${path}\n${report.failures}`);
  }

  fail(path: string, sentence: string): void {
    this.add(path, { passed: 0, failed: 1, skipped: 0, failures: `  ${sentence}\n` });
  }
}

/** A process that runs test files one after another. */
class Worker {
  readonly #child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", new URL("worker.ts", DIRECTORY).href],
    env: Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {},
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  readonly #input = this.#child.stdin.getWriter();
  readonly #output = lines(
    this.#child.stdout.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (bytes, controller) => {
          this.#onSign();
          controller.enqueue(bytes);
        },
      }),
    ),
  );
  /** Is called whenever the process prints something, parts of lines included. */
  #onSign = () => {};

  /** Runs one file. False when the process is no longer usable. */
  async run(path: string, tally: Tally): Promise<boolean> {
    await this.#input.write(new TextEncoder().encode(`${new URL(path, DIRECTORY).href}\n`));
    let said = "";
    while (true) {
      const line = await this.#nextLine();
      if (typeof line !== "string") {
        if (said.trim()) console.log(said.trim());
        tally.fail(path, line.problem);
        return false;
      }
      if (!line.startsWith(MARK)) {
        said += `${line}\n`;
        continue;
      }
      const report: Report = JSON.parse(line.slice(MARK.length));
      if (report === null) return true;
      tally.add(path, report);
      console.log(`${path} ${said.trim() || "✘"}`);
      said = "";
    }
  }

  async close(): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }

  async #nextLine(): Promise<string | { problem: string }> {
    const minutes = PATIENCE_MS / 60_000;
    const hung = Promise.withResolvers<{ problem: string }>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#onSign = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.#child.kill("SIGKILL");
        hung.resolve({ problem: `it hangs: no test of it ended within ${minutes} minutes` });
      }, PATIENCE_MS);
    };
    this.#onSign();
    try {
      const next = await Promise.race([this.#output.next(), hung.promise]);
      if ("problem" in next) return next;
      if (!next.done) return next.value;
      const { code, signal } = await this.#child.status;
      return { problem: `its process died (${signal ?? `exit code ${code}`})` };
    } finally {
      clearTimeout(timer);
      this.#onSign = () => {};
    }
  }
}

async function runAll(queue: string[], tally: Tally): Promise<void> {
  let worker: Worker | undefined;
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    worker ??= new Worker();
    if (!await worker.run(path, tally)) worker = undefined;
  }
  await worker?.close();
}

const wanted = Deno.args;
const files = (await testFiles())
  .filter((path) => wanted.length === 0 || wanted.some((part) => `test/${path}`.includes(part)));
if (files.length === 0) {
  console.error(`No test file's path contains ${wanted.join(" or ")}.`);
  Deno.exit(2);
}
const tally = new Tally();
const workers = Math.min(navigator.hardwareConcurrency, MOST_WORKERS, files.length);
await Promise.all(Array.from({ length: workers }, () => runAll(files, tally)));
for (const failure of tally.failures) console.log(`\n${failure}`);
if (tally.skipped) console.log(`\n${tally.skipped} skipped`);
console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
Deno.exit(tally.failed ? 1 : 0);
