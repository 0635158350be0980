/**
 * Kernels written once for scalars and for vectors of four.
 *
 * A shader that handles its tensors element by element says `alias Element = f32;` and
 * `const WIDTH = 1u;`, and counts in elements. Where rows are a multiple of four floats long, the same
 * text with four-wide elements moves 16 bytes per load. Both lines are replaced in the text because a
 * WGSL override can choose neither a type nor what an entry point binds.
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
