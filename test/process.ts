/**
 * A process that runs test files one after another, as the runner sees it.
 *
 * Hanging is told by no sign of life for long: neither output nor CPU time. Never by slowness, for which the
 * machine's other work may be the reason.
 */
import { cpuSeconds } from "./cpu.ts";
import { lines } from "./lines.ts";
import type { Tally } from "./tally.ts";
import { MARK, type Report } from "./worker.ts";

const LOOK_MS = 15_000;

/** Looks in a row without a sign of life after which a file hangs: ten minutes. */
const PATIENCE = 40;

/** CPU time between two looks that is a sign of life; polling for what never comes takes less. */
const LIFE_SECONDS = 0.1;

/** CPU time within which a test must end; the longest takes a tenth of it. */
const MOST_SECONDS = 3600;

const WORKER = new URL("worker.ts", import.meta.url).href;

/** A line that the process prints, or why there is none. */
type Next = { line: string } | { problem: string };

/** A process that test files are handed to. */
export class TestProcess {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: AsyncGenerator<string>;
  /** Whether it has printed anything, parts of lines included, since the last look. */
  #spoke = false;

  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", WORKER],
      env: Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {},
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    const watched = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (bytes, controller) => {
        this.#spoke = true;
        controller.enqueue(bytes);
      },
    });
    this.#output = lines(this.#child.stdout.pipeThrough(watched));
  }

  /** Runs one file. False when the process is no longer usable. */
  async run(path: string, tally: Tally): Promise<boolean> {
    const endOfFile = await tally.timer(this.#child.pid);
    const url = new URL(path, import.meta.url).href;
    await this.#input.write(new TextEncoder().encode(`${url}\n`));
    let said = "", test: string | undefined, endOfTest: typeof endOfFile | undefined;
    while (true) {
      const next = await this.#next();
      if ("problem" in next) {
        if (said.trim()) console.log(said.trim());
        tally.fail(path, test === undefined ? next.problem : `${next.problem} in "${test}"`);
        if (test !== undefined) tally.failedTest(path, test);
        return false;
      }
      if (!next.line.startsWith(MARK)) {
        said += `${next.line}\n`;
        continue;
      }
      // The end of the line before a report was printed for the report's sake.
      said = said.slice(0, -1);
      const report: Report = JSON.parse(next.line.slice(MARK.length));
      switch (report.event) {
        case "began":
          test = report.test;
          endOfTest = await tally.timer(this.#child.pid);
          break;
        case "ended":
          test = undefined;
          if (report.failed) tally.failedTest(path, report.test);
          await endOfTest?.(path, report.test);
          break;
        case "skipped":
          tally.skip(report.reason);
          break;
        case "suite":
          tally.add(path, report.result);
          console.log(`${path} ${said.trim() || "✘"}`);
          said = "";
          break;
        case "end of file":
          await endOfFile(path);
          return true;
      }
    }
  }

  async close(): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }

  async #next(): Promise<Next> {
    const hung = Promise.withResolvers<{ problem: string }>();
    const interval = this.#watch((problem) => {
      this.#child.kill("SIGKILL");
      hung.resolve({ problem });
    });
    try {
      const next = await Promise.race([this.#output.next(), hung.promise]);
      if ("problem" in next) return next;
      if (!next.done) return { line: next.value };
      const { code, signal } = await this.#child.status;
      return { problem: `its process died (${signal ?? `exit code ${code}`})` };
    } finally {
      clearInterval(interval);
    }
  }

  /** Looks again and again whether the process lives. */
  #watch(onHang: (problem: string) => void): ReturnType<typeof setInterval> {
    let [first, last, idle]: [number | undefined, number, number] = [undefined, NaN, 0];
    // Looks are counted, not time: the machine, or this process with the other, may have been asleep.
    return setInterval(async () => {
      const cpu = await cpuSeconds(this.#child.pid) ?? 0;
      first ??= cpu;
      idle = this.#spoke || Math.abs(cpu - last) > LIFE_SECONDS ? 0 : idle + 1;
      this.#spoke = false;
      last = cpu;
      if (idle === PATIENCE) {
        const minutes = PATIENCE * LOOK_MS / 60_000;
        onHang(`it hangs: for ${minutes} minutes it printed nothing and used no CPU time`);
      } else if (cpu - first > MOST_SECONDS) {
        onHang(`it does not end: it has used ${MOST_SECONDS / 60} minutes of CPU time`);
      }
    }, LOOK_MS);
  }
}
