/**
 * Runs the uvu suites of one test file and counts, in Deno and in pages alike.
 *
 * uvu's own reporter exits the process and prints totals of its own, so its queue is driven by hand.
 * Must be imported before uvu is: uvu reads `UVU_DEFER` once, to learn that it isn't to run by itself.
 */

import { choice } from "./choice.ts";

/** What became of a suite. */
export interface SuiteResult {
  passed: number;
  /** Tests that threw or, where a hook of the suite threw, never ran. */
  failed: number;
  skipped: number;
  /** uvu's account of the failures; empty when there are none. */
  failures: string;
}

type Run = () => Promise<[errors: string | true, passed: number, skipped: number, total: number]>;

const uvu = globalThis as { UVU_DEFER?: number; UVU_QUEUE?: Run[][]; UVU_INDEX?: number };
uvu.UVU_DEFER = 1;
uvu.UVU_QUEUE = [[]];

/**
 * Loads a test file and yields the result of each of its suites as it ends.
 *
 * @param load imports the file, which registers its suites
 */
export async function* runSuites(load: () => Promise<unknown>): AsyncGenerator<SuiteResult> {
  try {
    await load();
  } catch (error) {
    yield failure(`it cannot be loaded: ${error instanceof Error ? error.stack : error}`);
    uvu.UVU_QUEUE![0].length = 0;
    return;
  }
  const suites = uvu.UVU_QUEUE![0].splice(0);
  if (suites.length === 0 && !choice.only) {
    yield failure("it registers no suite; does it call test.run()?");
  }
  for (const run of suites) {
    const [errors, passed, skipped, total] = await run();
    let failures = errors === true ? "" : errors;
    // uvu forgets an error thrown by before, after or after.each, and the tests it kept from running.
    if (passed < total && !failures) {
      failures = "  a hook of this suite threw: no test of it counts\n";
    }
    yield { passed, failed: total - passed, skipped, failures };
  }
}

function failure(sentence: string): SuiteResult {
  return { passed: 0, failed: 1, skipped: 0, failures: `  ${sentence}\n` };
}
