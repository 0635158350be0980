/**
 * One of the processes that `test/run.ts` hands test files to: reads their paths on stdin, a line each.
 *
 * What tests and uvu print goes to stdout as it is; lines that begin with `MARK` are for the runner.
 */
import { runSuites, type SuiteResult } from "./suites.ts";
import { lines } from "./lines.ts";

/** Begins every line that is addressed to the runner. */
export const MARK = "\u0001";

/** What the runner is told: a suite has ended, or, with `null`, a file has. */
export type Report = SuiteResult | null;

if (import.meta.main) {
  // An error that nobody awaits must fail its file, not take the process and its other files along.
  let stray: SuiteResult | undefined;
  const keep = (event: Event, reason: unknown) => {
    event.preventDefault();
    const account = reason instanceof Error ? reason.stack : reason;
    stray = {
      passed: 0,
      failed: 1,
      skipped: 0,
      failures: `  thrown where nobody awaits: ${account}\n`,
    };
  };
  globalThis.addEventListener("unhandledrejection", (event) => keep(event, event.reason));
  globalThis.addEventListener("error", (event) => keep(event, event.error));

  for await (const path of lines(Deno.stdin.readable)) {
    for await (const result of runSuites(() => import(path))) report(result);
    // Let what the file has left to be thrown be thrown now.
    await new Promise((resolve) => setTimeout(resolve));
    if (stray) report(stray);
    stray = undefined;
    report(null);
  }
  Deno.exit(0);
}

function report(report: Report): void {
  console.log(`\n${MARK}${JSON.stringify(report)}`);
}
