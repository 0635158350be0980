/** What became of the files that a run tests: counts, failures and how to see each again, times. */
import { table } from "../cli/frame/table.ts";
import { cpuSeconds } from "./cpu.ts";
import type { SuiteResult } from "./suites.ts";

/** Tests and files that take less CPU time than this are left out of the list of times. */
const SHORT_SECONDS = 0.5;

/** Of those that take more than this it is said when they end. */
const LONG_SECONDS = 5;

interface Time {
  readonly path: string;
  /** The test that took it; of a whole file, none. */
  readonly test: string | undefined;
  readonly cpu: number | undefined;
  readonly wall: number;
}

/** Ends a measurement, and says of what. */
export type EndTimer = (path: string, test?: string) => Promise<void>;

export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly #options: { readonly times: boolean; readonly exhaustive: boolean };
  readonly #failures: { path: string; account: string }[] = [];
  readonly #failedTests: { path: string; test: string }[] = [];
  /** How many tests were skipped, by reason. */
  readonly #skips = new Map<string, number>();
  readonly #times: Time[] = [];

  constructor(options: { readonly times: boolean; readonly exhaustive: boolean }) {
    this.#options = options;
  }

  add(path: string, { passed, failed, skipped, failures }: SuiteResult): void {
    this.passed += passed;
    this.failed += failed;
    this.skipped += skipped;
    if (failures) this.#failures.push({ path, account: failures });
  }

  /** Counts a failure of no test, or one that its test cannot report. */
  fail(path: string, sentence: string): void {
    this.add(path, { passed: 0, failed: 1, skipped: 0, failures: `  ${sentence}\n` });
  }

  failedTest(path: string, test: string): void {
    this.#failedTests.push({ path, test });
  }

  skip(reason: string): void {
    this.#skips.set(reason, (this.#skips.get(reason) ?? 0) + 1);
  }

  /** Starts to measure what a process does, if times are wanted. */
  async timer(pid: number): Promise<EndTimer> {
    if (!this.#options.times) return () => Promise.resolve();
    const [begin, cpuBefore] = [performance.now(), await cpuSeconds(pid)];
    return async (path, test) => {
      const wall = (performance.now() - begin) / 1000;
      const cpuAfter = await cpuSeconds(pid);
      let cpu: number | undefined;
      if (cpuBefore !== undefined && cpuAfter !== undefined) {
        cpu = Math.max(0, cpuAfter - cpuBefore);
        // What a process used that another than its parent waited for is known no more when it has ended.
        if (test === undefined) cpu = Math.max(cpu, this.#cpuOfTests(path));
      }
      this.#times.push({ path, test, cpu, wall });
      const what = test === undefined ? path : `${path}, ${test},`;
      if ((cpu ?? wall) >= LONG_SECONDS) console.log(`${what} took ${figure(cpu)} s of CPU time`);
    };
  }

  #cpuOfTests(path: string): number {
    return this.#times.reduce((sum, time) => sum + (time.path === path ? time.cpu ?? 0 : 0), 0);
  }

  /** All that is to be said when the run has ended; its last line has the counts. */
  report(): string {
    const counts = `${this.passed} passed, ${this.failed} failed`;
    const parts = [
      ...this.#options.times ? [this.#timeTables()] : [],
      ...this.#failures.map(({ path, account }) => `${path}\n${account.trimEnd()}`),
      this.#remedies(),
      [...this.#skips].map(([reason, count]) => `skipped: ${count} × ${reason}`).join("\n"),
      this.skipped ? `${counts}, ${this.skipped} skipped` : counts,
    ];
    return parts.filter((part) => part !== "").join("\n\n");
  }

  /** The commands that run nothing but what failed. */
  #remedies(): string {
    const flags = this.#options.exhaustive ? " --exhaustive" : "";
    const commands = [...new Set(this.#failures.map(({ path }) => path))].flatMap((path) => {
      const command = `deno task test${flags} ${path}`;
      const tests = this.#failedTests.filter((failed) => failed.path === path);
      return tests.length === 0
        ? [command]
        : tests.map(({ test }) => `${command} --only ${quoted(test)}`);
    });
    return commands.length === 0 ? "" : `To run what failed alone:\n${commands.join("\n")}`;
  }

  #timeTables(): string {
    const long = this.#times.filter(({ cpu, wall }) => (cpu ?? wall) >= SHORT_SECONDS)
      .toSorted((a, b) => (b.cpu ?? b.wall) - (a.cpu ?? a.wall));
    const [files, tests] = [false, true].map((isTest) =>
      long.filter(({ test }) => (test !== undefined) === isTest)
    );
    const whole = this.#times.filter(({ test }) => test === undefined);
    const sum = (of: (time: Time) => number | undefined) =>
      whole.reduce((sum, time) => sum + (of(time) ?? 0), 0);
    return [
      table(
        ["CPU s", "s", "test"],
        tests.map(({ cpu, wall, path, test }) => [figure(cpu), figure(wall), `${path}: ${test}`]),
      ),
      table(
        ["CPU s", "s", "file"],
        [...files.map(({ cpu, wall, path }) => [figure(cpu), figure(wall), path]), [
          figure(sum(({ cpu }) => cpu)),
          figure(sum(({ wall }) => wall)),
          "all files",
        ]],
      ),
    ].join("\n\n");
  }
}

function figure(seconds: number | undefined): string {
  return seconds?.toFixed(1) ?? "–";
}

/** A shell's argument. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
