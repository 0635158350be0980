/**
 * Kernels written once for scalars and for vectors of four, for floats and for halves.
 *
 * A shader that handles its tensors element by element says `alias Element = f32;` and
 * `const WIDTH = 1u;`, and counts in elements. Where rows are a multiple of four floats long, the same
 * text with four-wide elements moves 16 bytes per load. Both lines are replaced in the text because a
 * WGSL override can choose neither a type nor what an entry point binds.
 *
 * Weights stored as f16 are read in packed pairs and widened by `unpack2x16float`, which every adapter
 * has. Shaders with the f16 feature would read them as `array<f16>`: no faster where it was measured (see
 * docs/kernels.md), and a second path.
 */

import type { Shader } from "./tensor.ts";

/** Floats per element of a kernel. */
export type Width = 1 | 4;

/** The widest element that rows of `columns` floats divide into. */
export function widthOf(columns: number): Width {
  return columns % 4 === 0 ? 4 : 1;
}

/** The shader with elements of `width` floats. */
export function widen(shader: Shader, width: Width): Shader {
  if (width === 1) return shader;
  return {
    name: `${shader.name}-vec4`,
    source: shader.source
      .replace("alias Element = f32;", "alias Element = vec4f;")
      .replace("const WIDTH = 1u;", "const WIDTH = 4u;"),
  };
}

/** What a binding of halves holds, and how its element `i` is read as floats: with a single load. */
const packed = {
  1: { type: "u32", read: (x: string) => `return unpack2x16float(${x}[i / 2] >> (i % 2 * 16)).x;` },
  4: {
    type: "vec2u",
    read: (x: string) =>
      `let pairs = ${x}[i]; ` +
      "return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y));",
  },
};

/**
 * The shader for an operand that is stored as f16.
 *
 * @param bindings the operand's bindings, with the width of their elements; the shader must read a
 * binding `x` in one place, `fn x_at(i: u32) -> … { return x[i]; }`
 */
export function halve(
  shader: Shader,
  operand: string,
  bindings: Readonly<Record<string, Width>>,
): Shader {
  let { source } = shader;
  for (const [name, width] of Object.entries(bindings)) {
    const { type, read } = packed[width];
    source = source
      .replace(new RegExp(`(> ${name}: )array<\\w+>;`), `$1array<${type}>;`)
      .replace(`return ${name}[i];`, read(name));
  }
  return { name: `${shader.name}-half-${operand}`, source };
}
