/**
 * uvu as test files import it ("uvu" in deno.json): suites whose tests can be chosen and watched.
 *
 * Tests are chosen by name (`deno task test --only`) and by what they can tell: `test.exhaustive` is for
 * those that take long and seldom tell more than the others do. A skipped test says why it is.
 */

import { type Callback, suite as plainSuite, type Test } from "uvu/plain";
import { choice } from "./choice.ts";

/** A suite of tests; `T` is what its hooks leave for them. */
export interface Suite<T> extends Pick<Test<T>, "before" | "after" | "run"> {
  (name: string, test: Callback<T>): void;
  /** A test that a quick run leaves out. */
  exhaustive(name: string, test: Callback<T>): void;
  /** A test that cannot run here, and the reason. */
  skip(name: string, reason?: unknown): void;
}

/** Is told how the tests of this process or page get on. */
export const observer: {
  began?(test: string): void;
  ended?(test: string, failed: boolean): void;
  skipped?(test: string, reason: string): void;
} = {};

/** Starts a suite. Its `run` must be called when all of its tests are named. */
// deno-lint-ignore no-explicit-any -- so do uvu's own types leave what hooks add to the context open.
export function suite<T = Record<string, any>>(title: string): Suite<T> {
  const plain = plainSuite<T>(title);
  let isEmpty = true;
  const isWanted = (name: string) => name.includes(choice.only);
  const test = (name: string, run: Callback<T>) => {
    if (!isWanted(name)) return;
    isEmpty = false;
    plain(name, async (context) => {
      observer.began?.(name);
      let failed = true;
      try {
        await run(context);
        failed = false;
      } finally {
        observer.ended?.(name, failed);
      }
    });
  };
  return Object.assign(test, {
    before: plain.before,
    after: plain.after,
    exhaustive: choice.exhaustive ? test : () => {},
    skip(name: string, reason?: unknown) {
      if (!isWanted(name)) return;
      isEmpty = false;
      plain.skip();
      observer.skipped?.(name, typeof reason === "string" ? reason : "it does not say why");
    },
    run() {
      // The hooks of a suite of which no test is wanted would do their work in vain.
      if (!isEmpty || !choice.only) plain.run();
    },
  });
}
