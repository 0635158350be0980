/**
 * Runs shaders invocation by invocation on the CPU, in lockstep, and reports data races: two invocations
 * of a workgroup touching the same memory between barriers, one of them writing.
 *
 * A GPU shows a race as a wrong number once in a while; here it shows every time.
 */
// @ts-types="npm:wgsl_reflect@1.6.0"
import { detectRaces } from "wgsl_reflect";
import { packUniforms, reflect } from "../../src/gpu/reflection.ts";

/** Zeros beyond each buffer: a GPU forgives a read past the end (clamped loads, say), wgsl_reflect throws. */
const SLACK = 4096;

/** A dispatch on memory of the host. */
export interface HostDispatch {
  readonly source: string;
  readonly entry: string;
  readonly constants?: Readonly<Record<string, number>> | undefined;
  readonly uniforms?: Readonly<Record<string, number>> | undefined;
  readonly workgroups: readonly [number, number, number];
  /** Storage binding → its bytes, which the shader may overwrite. */
  readonly bindings: Readonly<Record<string, Uint8Array>>;
}

/**
 * Runs a dispatch and writes its results into its bindings.
 *
 * @returns the races and divergent barriers found, as sentences; none for a sound shader
 */
export function raceCheck(dispatch: HostDispatch): string[] {
  const { source, entry, constants = {}, uniforms, workgroups, bindings } = dispatch;
  const { storage, uniforms: block } = reflect(source, entry);
  const group: Record<string, unknown> = {};
  const copies = storage.map(({ name, binding }) => {
    const bytes = bindings[name] ?? new Uint8Array();
    const copy = new Uint8Array(bytes.length + SLACK);
    copy.set(bytes);
    group[binding] = copy.buffer;
    return { name, copy };
  });
  if (block) {
    const bytes = new ArrayBuffer(block.byteLength);
    packUniforms(block, uniforms ?? {}, new DataView(bytes));
    group[block.binding] = { uniform: bytes };
  }
  const code = interpretable(source);
  const { races, errors } = quietly(() =>
    detectRaces(code, entry, [...workgroups], { 0: group }, { constants })
  );
  for (const { name, copy } of copies) {
    const bytes = bindings[name];
    bytes?.set(copy.subarray(0, bytes.length));
  }
  return [...errors, ...races.map(({ message }) => message)];
}

/**
 * The source without what wgsl_reflect 1.6.0 gets wrong: it overlooks a barrier that is the first
 * statement of a loop's body, and has no compound assignment to matrices.
 */
function interpretable(source: string): string {
  let count = 0;
  return source
    .replace(
      /\{(\s*(?:workgroup|storage)Barrier)/g,
      (_, barrier) => `{ let ahead${count++} = 0;${barrier}`,
    )
    .replace(/([\w.[\]]+) \+= ([^;{}]+);/g, "$1 = $1 + ($2);");
}

/**
 * What the interpreter says of matrix and vector arithmetic that it does not have: thousands of lines for
 * a model. It concerns values, and only indices matter here.
 */
const CHATTER = [
  /^setDataValue: NULL data\.$/,
  /^SetDataValue: Type \w+ is not an array$/,
  /^Invalid assignment( to \w+)?\./,
  /^Transpose\(\) expects a matrix argument\./,
  /^Variable \w+ is not a scalar\./,
];

/** Without the interpreter's chatter. */
function quietly<T>(run: () => T): T {
  const { error, log } = console;
  const unlessChatter = (print: typeof log) => (...said: unknown[]) => {
    if (!CHATTER.some((kind) => kind.test(String(said[0])))) print(...said);
  };
  console.error = unlessChatter(error);
  console.log = unlessChatter(log);
  try {
    return run();
  } finally {
    Object.assign(console, { error, log });
  }
}
