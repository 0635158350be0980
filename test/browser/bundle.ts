/** Test files as one script for a page. */

const TEST = new URL("../", import.meta.url);

/**
 * Bundles test files into an ES module that leaves `runTestFile(path)` in the page's global scope; it
 * resolves to the results of the file's suites.
 *
 * @param paths relative to test/; they and what they import must do without Deno's API
 */
export async function bundle(paths: string[]): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const imports = paths.map((path) => `${JSON.stringify(path)}: () => import("${TEST}${path}"),`);
    const source = `
      import { runSuites } from "${TEST}suites.ts";
      const files = {${imports.join("\n")}};
      globalThis.runTestFile = async (path) => await Array.fromAsync(runSuites(files[path]));`;
    await Deno.writeTextFile(`${directory}/entry.ts`, source);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        `--config=${new URL("../deno.json", TEST).pathname}`,
        "--platform=browser",
        // Imported under Deno only.
        "--external=*/platform/adapter.ts",
        "--external=*/platform/swiftshader.ts",
        "--external=*/dawn/dawn.ts",
        `--output=${directory}/bundle.js`,
        `${directory}/entry.ts`,
      ],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`deno bundle failed: ${new TextDecoder().decode(stderr)}`);
    return await Deno.readTextFile(`${directory}/bundle.js`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
