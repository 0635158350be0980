/**
 * Files of others that tests want to see read, too large or not free enough for this repository: published
 * data sets, tokenizers and configurations. A clone goes without them.
 */
import type { Callback } from "uvu/plain";
import type { Suite } from "./harness.ts";

/** Names the folder that holds them. */
const VARIABLE = "HYPERDECODER_TEST_DATA";

const folder = Deno.env.get(VARIABLE);

/** Where one of them is, if it is anywhere. */
export function realPath(path: string): string {
  return `${folder}/${path}`;
}

/**
 * Names a test that reads files of others; without them it is skipped.
 *
 * @param needed paths in the folder
 */
export function testOnRealData<T>(
  test: Suite<T>,
  needed: readonly string[],
  name: string,
  run: Callback<T>,
): void {
  const missing = needed.find((path) => !isThere(path));
  if (!folder) test.skip(name, `${VARIABLE} names no folder of real data`);
  else if (missing) test.skip(name, `${VARIABLE} names a folder without ${missing}`);
  else test(name, run);
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(realPath(path));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
