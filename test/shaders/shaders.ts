/** The project's shaders, for tests that go through all of them. */
import { halve } from "../../src/graph/element.ts";

const DIRECTORY = new URL("../../shaders/", import.meta.url);

/** One entry point of a shader file. */
export interface ShaderEntry {
  /** The file's name without its extension. */
  readonly name: string;
  readonly source: string;
  readonly entry: string;
}

/** Every compute entry point of every shader, by file name; before its source, that of the file that it continues. */
export function allEntries(): ShaderEntry[] {
  const files = [...Deno.readDirSync(DIRECTORY)].map(({ name }) => name).sort();
  return files.filter((file) => file.endsWith(".wgsl")).flatMap((file) => {
    const own = read(file);
    const continued = own.match(/^\/\/ Continues (\S+\.wgsl)\.$/m);
    const source = continued ? `${read(continued[1])}\n${own}` : own;
    const name = file.replace(".wgsl", "");
    // Not by wgsl_reflect: a file that it cannot parse must fail its own test, not all.
    const entries = own.matchAll(/@compute[^{;]*?\bfn\s+(\w+)/g);
    return [...entries].map(([, entry]) => ({ name, source, entry }));
  });
}

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, DIRECTORY));
}

/** Their variants for operands that are stored as f16: one for every binding that may be. */
export function halfVariants(): ShaderEntry[] {
  return allEntries().flatMap((entry) =>
    [...entry.source.matchAll(/fn (\w+)_at\(i: u32\) -> (\w+)/g)].map(([, binding, element]) => ({
      ...entry,
      ...halve(entry, binding, { [binding]: element === "vec4f" ? 4 : 1 }),
    }))
  );
}
