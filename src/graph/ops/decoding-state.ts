/**
 * What a decoding step reads and overwrites where sequences do not depend on one another: greedy choice
 * and sampling, which differ only in how they choose.
 */

import { sameShape, type Shader, ShapeError, size, type Tensor } from "../tensor.ts";
import { optionalInputs, type OptionalNames } from "./optional.ts";

/** What a decoding has come to, for K sequences of each of B rows; all are variables. */
export interface DecodingState {
  /** i32 [B, K]: 1 once a sequence has its end token, 0 before. */
  readonly finished: Tensor;
  /** i32 [B, maxLength, K]: the start token at 0, then what was chosen, then padding. */
  readonly tokens: Tensor;
  /**
   * f32 [B, maxLength, K, 2]: ln of the probability of each chosen token among all tokens (what the model
   * says) and among those that it was chosen from; 0 at padding.
   */
  readonly logProbabilities: Tensor;
}

/** Special tokens and limits. */
export interface DecodingOptions {
  /** The tokens that end a sequence. */
  readonly endIds: readonly number[];
  readonly padId: number;
  /** End tokens are forbidden while a sequence is shorter than this, the start token included. */
  readonly minLength: number;
  /** u32 [B, K, ⌈V / 32⌉] of `bannedTokens`: what must not be chosen. */
  readonly banned?: Tensor | undefined;
  /** f32 [B · K, V] of `adjustedScores`: what is chosen by, where it is not the logits. */
  readonly scores?: Tensor | undefined;
}

/** What an op knows beside its operands: the options, with which of the operands among them there are. */
export type DecodingAttributes<Options extends DecodingOptions> =
  & Omit<Options, "banned" | "scores">
  & OptionalNames<"banned" | "scores">;

/** The operands of an op that chooses, `reads` and then those of its options, and its attributes. */
export function decodingOperands<Options extends DecodingOptions>(
  reads: readonly Tensor[],
  options: Options,
): { readonly inputs: Tensor[]; readonly attributes: DecodingAttributes<Options> } {
  const { banned, scores, ...attributes } = options;
  const { tensors, optional } = optionalInputs({ banned, scores });
  return { inputs: [...reads, ...tensors], attributes: { ...attributes, optional } };
}

/** The shader that knows which tokens end a sequence. */
export function withEnds({ name, source }: Shader, endIds: readonly number[]): Shader {
  const line = "fn is_end(token: u32) -> bool { return token == 1u; }";
  if (endIds.length === 1 && endIds[0] === 1) return { name, source };
  const test = anyOf(
    runs(endIds).map(([first, last]) => `(token - ${first}u <= ${last - first}u)`),
  );
  return {
    name: `${name}-until-${endIds.join("-")}`,
    source: source.replace(line, `fn is_end(token: u32) -> bool { return ${test}; }`),
  };
}

/** Ids as runs of successive ones, each by its first and its last. */
function runs(ids: readonly number[]): [first: number, last: number][] {
  const found: [number, number][] = [];
  for (const id of ids.toSorted((a, b) => a - b)) {
    const run = found.at(-1);
    if (run && id <= run[1] + 1) run[1] = id;
    else found.push([id, id]);
  }
  return found;
}

/**
 * Whether any of some conditions holds, as WGSL. All are evaluated and the expression is a balanced tree: a
 * thousand branches, or a thousand levels, are more than compilers take.
 */
function anyOf(conditions: readonly string[]): string {
  if (conditions.length === 1) return conditions[0];
  const half = Math.ceil(conditions.length / 2);
  return `(${anyOf(conditions.slice(0, half))} | ${anyOf(conditions.slice(half))})`;
}

/**
 * The types of the state's new values.
 *
 * @param inputs state, logits and position, whatever follows
 * @throws {ShapeError} when operands do not fit
 */
export function decodingShape(
  op: string,
  inputs: readonly Tensor[],
  { banned, scores }: { readonly banned?: Tensor; readonly scores?: Tensor },
) {
  const [finished, tokens, logProbabilities, logits, position] = inputs;
  const fail = (message: string): never => {
    throw new ShapeError(op, message, inputs);
  };
  const [batch, maxLength, slots] = tokens.shape;
  if (tokens.dtype !== "i32" || tokens.shape.length !== 3) {
    fail("tokens must be i32 [batch, maxLength, slots]");
  }
  if (finished.dtype !== "i32" || !sameShape(finished.shape, [batch, slots])) {
    fail("finished must be i32 [batch, slots]");
  }
  if (
    logProbabilities.dtype !== "f32" ||
    !sameShape(logProbabilities.shape, [batch, maxLength, slots, 2])
  ) {
    fail("logProbabilities must be f32 [batch, maxLength, slots, 2]");
  }
  if (logits.dtype !== "f32" || logits.shape.length !== 2 || logits.shape[0] !== batch * slots) {
    fail("logits must be f32 [batch · slots, vocabulary]");
  }
  if (position.dtype !== "u32" || size(position.shape) !== 1) fail("position must be u32 [1]");
  checkBanned(op, inputs, banned, [batch, slots, logits.shape[1]]);
  checkScores(op, inputs, scores, logits);
  return [finished, tokens, logProbabilities].map(({ shape, dtype }) => ({ shape, dtype }));
}

/** @throws {ShapeError} if there is a mask that is not that of [batch, slots, vocabulary] */
export function checkBanned(
  op: string,
  inputs: readonly Tensor[],
  banned: Tensor | undefined,
  [batch, slots, vocabulary]: readonly number[],
): void {
  const shape = [batch, slots, Math.ceil(vocabulary / 32)];
  if (banned && (banned.dtype !== "u32" || !sameShape(banned.shape, shape))) {
    throw new ShapeError(op, "banned must be u32 [batch, slots, ⌈vocabulary / 32⌉]", inputs);
  }
}

/** @throws {ShapeError} if there are scores that are not of the logits' shape */
export function checkScores(
  op: string,
  inputs: readonly Tensor[],
  scores: Tensor | undefined,
  logits: Tensor,
): void {
  if (scores && (scores.dtype !== "f32" || !sameShape(scores.shape, logits.shape))) {
    throw new ShapeError(op, "scores must be f32, of the shape of logits", inputs);
  }
}
