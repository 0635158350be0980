/**
 * Python's transformers as a judge of what is written for it. Nothing here needs it but tests that say so,
 * and that are skipped without it.
 */

import type { Callback } from "uvu/plain";
import type { Suite } from "../harness.ts";

/** Names an interpreter that has torch and transformers, or several with commas between them. */
const VARIABLE = "HYPERDECODER_PYTHON";

const interpreters = (Deno.env.get(VARIABLE) ?? "").split(",").filter(Boolean);

/** Names a test that runs Python, once for each interpreter; without one it is skipped. */
export function testWithPython<T>(
  test: Suite<T>,
  name: string,
  run: (python: string, context: Parameters<Callback<T>>[0]) => Promise<void>,
): void {
  if (interpreters.length === 0) {
    test.skip(name, `${VARIABLE} names no interpreter with torch and transformers`);
  }
  for (const python of interpreters) {
    const title = interpreters.length > 1 ? `${name} (${python})` : name;
    test(title, (context) => run(python, context));
  }
}

/** Runs a program and returns what it prints. @throws with what it complains of */
export async function runPython(
  python: string,
  args: readonly string[],
  cwd?: string,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: [...args],
    ...(cwd !== undefined && { cwd }),
    // Modules that come with a model are kept apart: two of one name may differ.
    env: { HF_HUB_OFFLINE: "1", HF_MODULES_CACHE: await Deno.makeTempDir() },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${python} ${args.join(" ")}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
