/**
 * The tokens that must not come next if no n-gram is to occur twice in a sequence (Paulus et al. 2017,
 * section 2.5), as a mask for the ops that choose.
 */

import source from "../../../shaders/banned-tokens.wgsl" with { type: "text" };
import { elementGrid, linearGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

/** What is banned. */
export interface BannedTokensOptions {
  /** Tokens of an n-gram, 1 or more. */
  readonly size: number;
  /** Number of token ids. */
  readonly vocabulary: number;
  /** u32 [B, K, length]: in which slot each token of a sequence lies; its own unless given. */
  readonly ancestors?: Tensor | undefined;
}

/**
 * A bit for each token that would complete an n-gram which the sequence already has. The start token
 * counts as part of the sequence.
 *
 * @param tokens i32 [B, length, K]
 * @param position u32 [1], of the newest token
 * @returns u32 [B, K, ⌈vocabulary / 32⌉]; token t is bit t mod 32 of word ⌊t / 32⌋
 */
export function bannedTokens(
  tokens: Tensor,
  position: Tensor,
  { size, vocabulary, ancestors }: BannedTokensOptions,
): Tensor {
  const inputs = [tokens, position, ...(ancestors ? [ancestors] : [])];
  return apply(bannedTokensOp, inputs, { size, vocabulary });
}

const bannedTokensOp: Op<{ size: number; vocabulary: number }> = {
  name: "banned tokens",
  shape(inputs, { vocabulary }) {
    const [tokens, position, ancestors] = inputs;
    const [batch, length, slots] = tokens.shape;
    const fail = (message: string): never => {
      throw new ShapeError("banned tokens", message, inputs);
    };
    if (tokens.dtype !== "i32" || tokens.shape.length !== 3) {
      fail("tokens must be i32 [batch, length, slots]");
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) fail("position must be u32 [1]");
    const routes = [batch, slots, length];
    if (ancestors && (ancestors.dtype !== "u32" || !sameShape(ancestors.shape, routes))) {
      fail("ancestors must be u32 [batch, slots, length]");
    }
    return [{ shape: [batch, slots, Math.ceil(vocabulary / 32)], dtype: "u32" }];
  },
  kernel({ inputs: [tokens, position, ancestors], outputs: [banned], attributes }) {
    const [batch, length, slots] = tokens.shape;
    const shader = { name: "banned-tokens", source };
    const uniforms = { batch, slots, length, words: banned.shape[2], size: attributes.size };
    return [
      { shader, entry: "clear", uniforms, bindings: { banned }, workgroups: elementGrid(banned) },
      {
        shader,
        entry: "ban",
        constants: { has_ancestors: Number(ancestors !== undefined) },
        uniforms,
        bindings: { tokens, position, ...(ancestors && { ancestors }), banned },
        workgroups: linearGrid(batch * slots * length),
      },
    ];
  },
};
