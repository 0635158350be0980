/**
 * Directories that are made once per machine and then only read.
 *
 * Invariant: a cached directory is whole or absent. It is filled under another name and renamed, so a
 * killed process leaves nothing half made, and of two processes filling it at once one simply wins.
 */

/**
 * The directory `name` of this project's cache, filled by `fill` if it isn't there yet.
 *
 * `name` should carry the version of what it holds.
 */
export async function cachedDirectory(
  name: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const root = cacheRoot();
  const directory = `${root}/${name}`;
  if (await isDirectory(directory)) return directory;
  await Deno.mkdir(root, { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: root, prefix: `${name}.` });
  try {
    await fill(unfinished);
    await Deno.rename(unfinished, directory);
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true });
    if (!await isDirectory(directory)) throw error;
  }
  return directory;
}

/**
 * The cache: `$XDG_CACHE_HOME/hyperdecoder`, or `~/.cache/hyperdecoder`, or under the directory for temporary
 * files where there is no home.
 */
export function cacheRoot(): string {
  const home = Deno.env.get("HOME");
  return `${Deno.env.get("XDG_CACHE_HOME") || (home ? `${home}/.cache` : "/tmp")}/hyperdecoder`;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
