/** Where test files are, and in which order they are run. */

const DIRECTORY = new URL(".", import.meta.url);

/**
 * What test files go by that are quick, as they neither compute on a GPU nor start processes. They are run last,
 * so that no process is left with a long file when the others have nothing to do.
 */
const QUICK = ["data/", "io/", "metrics/", "platform/", "text/", "cli/frame/", "train/settings"];

/** Those that are the longest, and run first. */
const LONG = ["browser/", "dawn/", "graph/ops/attention", "graph/ops/matmul-kernel", "verify/"];

/** The paths of all test files, relative to test/, sorted by how long they take, as far as that is known. */
export async function testFiles(prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(prefix, DIRECTORY))) {
    if (isDirectory) found.push(...await testFiles(`${prefix}${name}/`));
    else if (name.endsWith(".test.ts")) found.push(prefix + name);
  }
  return found.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function rank(path: string): number {
  const begins = (prefix: string) => path.startsWith(prefix);
  return LONG.some(begins) ? 0 : QUICK.some(begins) ? 2 : 1;
}
