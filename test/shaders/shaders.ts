/** The project's shaders, for tests that go through all of them. */
import { halve } from "../../src/graph/element.ts";
import type { Shader } from "../../src/graph/tensor.ts";
import { continued as continuedProduct } from "../../src/graph/ops/matmul-dispatch.ts";

const DIRECTORY = new URL("../../shaders/", import.meta.url);

/** One entry point of a shader file. */
export interface ShaderEntry {
  /** The file's name without its extension. */
  readonly name: string;
  readonly source: string;
  readonly entry: string;
}

/** Every compute entry point of every shader, by file name; once for each file that may continue it. */
export function allEntries(): ShaderEntry[] {
  const files = [...Deno.readDirSync(DIRECTORY)].map(({ name }) => name).sort();
  return files.filter((file) => file.endsWith(".wgsl")).flatMap((file) => {
    const own = read(file);
    // Not by wgsl_reflect: a file that it cannot parse must fail its own test, not all.
    const entries = own.matchAll(/@compute[^{;]*?\bfn\s+(\w+)/g);
    const shaders = wholeShaders(file.replace(".wgsl", ""), own);
    return [...entries].flatMap(([, entry]) => shaders.map((shader) => ({ ...shader, entry })));
  });
}

/** What a file is part of. */
function wholeShaders(name: string, source: string): Shader[] {
  const continues = /^\/\/ Continues (\S+\.wgsl)(?:, together with (\S+\.wgsl))?\.$/m;
  const before = source.match(continues)?.slice(1).filter((file) => file !== undefined);
  if (before) return [{ name, source: [...before.map(read), source].join("\n") }];
  const [after] = source.match(/^\/\/ Continued by .*$/m) ?? [""];
  const continuations = [...after.matchAll(/(\S+)\.wgsl/g)];
  if (continuations.length === 0) return [{ name, source }];
  return continuations.map(([, continuation]) => continuedProduct(name, continuation));
}

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, DIRECTORY));
}

/**
 * Their variants for operands that are stored as f16: one for every binding that may be. Of a product that an RMS norm is
 * part of, that is its weight's, in whole vec4s.
 */
export function halfVariants(): ShaderEntry[] {
  return allEntries().flatMap((entry) =>
    [...entry.source.matchAll(/fn (\w+)_at\(i: u32\) -> (\w+)/g)]
      .filter(([, binding]) => !/^matmul-.*-norm/.test(entry.name) || binding === "b_vec4")
      .map(([, binding, element]) => ({
        ...entry,
        ...halve(entry, binding, { [binding]: element === "vec4f" ? 4 : 1 }),
      }))
  );
}
