/**
 * Files inside npm packages that only some machines need, fetched when they are asked for.
 *
 * What deno.json imports is downloaded by every `deno task`, on every machine; these packages are large,
 * so they stay out of it: Deno's own `info` command downloads them and tells where they lie.
 */
import { createRequire } from "node:module";
import { brotliDecompressSync } from "node:zlib";
import { parseTar } from "nanotar";

/**
 * The directory of an npm package, downloaded into Deno's cache if need be.
 *
 * @param specifier with the full version: "npm:webgpu@0.6.2"
 */
export async function packageDirectory(specifier: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--no-config", "--no-lock", "--json", specifier],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${specifier} cannot be fetched: ${decoder.decode(stderr).trim()}`);
  const { modules, npmPackages } = JSON.parse(decoder.decode(stdout));
  // The key of a package that has peers names these as well.
  const directory = npmPackages?.[modules?.[0]?.npmPackage]?.localPath;
  if (!directory) throw new Error(`${specifier} cannot be fetched; is its npm registry reachable?`);
  return directory;
}

/** The content of a brotli-compressed file. */
export async function decompress(path: string): Promise<Uint8Array> {
  return brotliDecompressSync(await Deno.readFile(path));
}

/** Unpacks a brotli-compressed tar archive of files into a directory that exists. */
export async function unpack(archive: string, directory: string): Promise<void> {
  for (const { name, type, data, attrs } of parseTar(await decompress(archive))) {
    if (type !== "file" || !data) continue;
    const path = `${directory}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, data, { mode: parseInt(attrs?.mode ?? "644", 8) });
  }
}

/**
 * Runs a package's UMD bundle, the form that needs no resolution of what it imports.
 *
 * @param path of the bundle
 * @param modules by the names under which it asks for them; Node's own need not be given
 * @returns what it exports
 */
export async function loadUmd(
  path: string,
  modules: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, unknown>> {
  const exports: Record<string, unknown> = {};
  const run = new Function("exports", "module", "require", await Deno.readTextFile(path));
  const builtIn = createRequire(import.meta.url);
  run(exports, { exports }, (name: string) => modules[name] ?? builtIn(name));
  return exports;
}
