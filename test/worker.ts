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
  // A promise that nobody awaits must fail its file, not take the process and its other files along.
  let stray: SuiteResult | undefined;
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    const { reason } = event;
    const failures = `  a promise was rejected unseen: ${reason?.stack ?? reason}\n`;
    stray = { passed: 0, failed: 1, skipped: 0, failures };
  });
  for await (const path of lines(Deno.stdin.readable)) {
    for await (const result of runSuites(() => import(path))) report(result);
    if (stray) report(stray);
    stray = undefined;
    report(null);
  }
  Deno.exit(0);
}

function report(report: Report): void {
  console.log(`\n${MARK}${JSON.stringify(report)}`);
}
