/**
 * One of the processes that `test/run.ts` hands test files to: reads their paths on stdin, a line each.
 *
 * What tests and uvu print goes to stdout as it is; lines that begin with `MARK` are for the runner.
 */
import { runSuites, type SuiteResult } from "./suites.ts";
// After suites.ts, which must be there before uvu is.
import { observer } from "./harness.ts";
import { lines } from "./lines.ts";

/** Begins every line that is addressed to the runner. */
export const MARK = "\u0001";

/** What the runner is told. */
export type Report =
  | { event: "began"; test: string }
  | { event: "ended"; test: string; failed: boolean }
  | { event: "skipped"; test: string; reason: string }
  | { event: "suite"; result: SuiteResult }
  | { event: "end of file" };

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

  observer.began = (test) => report({ event: "began", test });
  observer.ended = (test, failed) => report({ event: "ended", test, failed });
  observer.skipped = (test, reason) => report({ event: "skipped", test, reason });

  for await (const path of lines(Deno.stdin.readable)) {
    for await (const result of runSuites(() => import(path))) report({ event: "suite", result });
    // Let what the file has left to be thrown be thrown now.
    await new Promise((resolve) => setTimeout(resolve));
    if (stray) report({ event: "suite", result: stray });
    stray = undefined;
    report({ event: "end of file" });
  }
  Deno.exit(0);
}

function report(report: Report): void {
  console.log(`\n${MARK}${JSON.stringify(report)}`);
}
