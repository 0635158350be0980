/**
 * Files inside npm packages that only some machines need, fetched when they are asked for.
 *
 * What deno.json imports is downloaded by every `deno task`, on every machine; these packages are large,
 * so they stay out of it: Deno's own `info` command downloads them and tells where they lie.
 */
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
  const { npmPackages } = JSON.parse(decoder.decode(stdout));
  const directory = npmPackages?.[specifier.replace("npm:", "")]?.localPath;
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
