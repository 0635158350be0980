/** Where test files are. */

const DIRECTORY = new URL(".", import.meta.url);

/** The paths of all test files, relative to test/, sorted. */
export async function testFiles(prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(prefix, DIRECTORY))) {
    if (isDirectory) found.push(...await testFiles(`${prefix}${name}/`));
    else if (name.endsWith(".test.ts")) found.push(prefix + name);
  }
  return found.sort();
}
