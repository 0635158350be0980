import source from "../../../shaders/embedding.wgsl" with { type: "text" };
import gradientSource from "../../../shaders/embedding-gradient.wgsl" with { type: "text" };
import { elementGrid, linearGrid } from "../dispatch.ts";
import { halve, widen, widthOf } from "../element.ts";
import { add } from "./add.ts";
import { slicesOf } from "./slices.ts";
import { apply, isFloat, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const shader = { name: "embedding", source };
const gradientShader = { name: "embedding-gradient", source: gradientSource };

/** Where a table is a slice of one: the number of its first row, and of the rows of all. */
type Slice = { readonly first: number; readonly vocabulary: number } | null;

const embeddingOp: Op<Slice> = {
  name: "embedding",
  halfInputs: [0],
  shape([table, ids]) {
    if (!isFloat(table) || table.shape.length !== 2 || ids.dtype !== "i32") {
      throw new ShapeError("embedding", "needs a table f32 or f16 [V, D] and ids i32", [
        table,
        ids,
      ]);
    }
    return [{ shape: [...ids.shape, table.shape[1]], dtype: "f32" }];
  },
  gradient({ inputs: [table, ids] }, [dy], needed) {
    if (!needed[0]) return [];
    return [apply(embeddingGradientOp, [ids, dy!], { vocabulary: table.shape[0] })];
  },
  simpler({ inputs: [table, ids] }) {
    const parts = slicesOf(table);
    if (!parts) return undefined;
    const [vocabulary] = table.shape;
    let first = 0;
    const found = parts.map((part) => {
      const rows = apply(embeddingOp, [part, ids], { first, vocabulary });
      first += part.shape[0];
      return rows;
    });
    // Every row but that of one slice is of zeros: the sum is exact.
    return [found.reduce((sum, rows) => add(sum, rows))];
  },
  kernel({ inputs: [table, ids], outputs: [embedded], attributes: slice }) {
    const [rows, columns] = table.shape;
    const tokens = size(ids.shape);
    const width = widthOf(columns);
    const wide = widen(shader, width);
    return [{
      shader: table.dtype === "f16" ? halve(wide, "table", { table: width }) : wide,
      uniforms: {
        first: slice?.first ?? 0,
        rows,
        vocabulary: slice?.vocabulary ?? rows,
        tokens,
        columns: columns / width,
      },
      bindings: { table, ids, embedded },
      workgroups: linearGrid(Math.ceil(tokens / 4) * (columns / width)),
    }];
  },
};

const embeddingGradientOp: Op<{ vocabulary: number }> = {
  name: "embedding gradient",
  shape: ([, gradient], { vocabulary }) => [
    { shape: [vocabulary, gradient.shape.at(-1)!], dtype: "f32" },
  ],
  kernel({ inputs: [ids, gradient], outputs: [tableGradient], attributes: { vocabulary } }) {
    const tokens = size(ids.shape);
    const width = widthOf(gradient.shape.at(-1)!);
    const uniforms = { tokens, vocabulary, columns: gradient.shape.at(-1)! / width };
    const sorted = { scratchBytes: 8 * tokens };
    return [{
      shader: gradientShader,
      entry: "sort",
      uniforms,
      bindings: { ids, sorted },
      workgroups: linearGrid(Math.ceil(tokens / 4)),
    }, {
      shader: widen(gradientShader, width),
      entry: "sum",
      uniforms,
      bindings: { tokens_by_id: sorted, gradient, table_gradient: tableGradient },
      workgroups: elementGrid(tableGradient, width),
      flops: size(gradient.shape),
    }];
  },
};

/**
 * Rows of a table.
 *
 * The GPU cannot raise an error, so an id below 0 or from V on means the first or the last row, forward and
 * backward; whoever makes ids validates them.
 *
 * @param table f32 or f16 [V, D]
 * @param ids i32 [...]
 * @returns f32 [..., D]
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  return apply(embeddingOp, [table, ids], null);
}
