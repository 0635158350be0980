import source from "../../../shaders/record.wgsl" with { type: "text" };
import { apply, type Op, ShapeError, type Tensor } from "../tensor.ts";

/** What is recorded of one step. */
export interface Recorded {
  /** u32[1]: which row of the log. */
  readonly slot: Tensor;
  /** f32[1]: 0 to begin the row anew, 1 to add to it. */
  readonly keep: Tensor;
  /** f32[3]: loss, negative log-likelihood, target tokens. */
  readonly sums?: Tensor;
  /** f32[1]: norm of the gradients. */
  readonly norm?: Tensor;
}

/** Columns of a log: loss, negative log-likelihood, target tokens, gradient norm. */
export const LOG_COLUMNS = 4;

const recordOp: Op<{ hasSums: boolean; hasNorm: boolean }> = {
  name: "record",
  inPlace: [0],
  shape(inputs) {
    const [log] = inputs;
    if (log.shape.length !== 2 || log.shape[1] !== LOG_COLUMNS) {
      throw new ShapeError("record", `the log must be [slots, ${LOG_COLUMNS}]`, inputs);
    }
    return [{ shape: log.shape, dtype: log.dtype }];
  },
  kernel({ inputs, outputs: [rows], attributes: { hasSums, hasNorm } }) {
    const [, slot, keep, ...values] = inputs;
    return [{
      shader: { name: "record", source },
      constants: { has_sums: Number(hasSums), has_norm: Number(hasNorm) },
      bindings: {
        rows,
        slot,
        keep,
        ...(hasSums ? { sums: values[0] } : {}),
        ...(hasNorm ? { norm: values[hasSums ? 1 : 0] } : {}),
      },
      workgroups: [1, 1, 1],
    }];
  },
};

/** Writes a step's numbers into a row of a log variable, in place. */
export function record(log: Tensor, { slot, keep, sums, norm }: Recorded): Tensor {
  const inputs = [log, slot, keep, ...(sums ? [sums] : []), ...(norm ? [norm] : [])];
  return apply(recordOp, inputs, { hasSums: sums !== undefined, hasNorm: norm !== undefined });
}
