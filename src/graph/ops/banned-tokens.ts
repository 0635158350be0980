/**
 * The tokens that must not come next, as a mask for the ops that choose: what is always banned, what would
 * repeat an n-gram (Paulus et al. 2017, section 2.5) of the sequence or of its source, and what would
 * complete a banned sequence.
 */

import source from "../../../shaders/banned-tokens.wgsl" with { type: "text" };
import { elementGrid, linearGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";
import { optionalInputs, type OptionalNames, optionalOperands } from "./optional.ts";

/** What is banned. */
export interface BannedTokensOptions {
  /** Number of token ids. */
  readonly vocabulary: number;
  /** Tokens of an n-gram that must not come twice in a sequence; 0, unless given, for no such rule. */
  readonly size?: number | undefined;
  /** u32 [B, K, length]: in which slot each token of a sequence lies; its own unless given. */
  readonly ancestors?: Tensor | undefined;
  /** n-grams that must not come because a row's source has them. */
  readonly ofSource?: {
    /** i32 [B, source length], -1 where there is no token. */
    readonly tokens: Tensor;
    readonly size: number;
  } | undefined;
  /** Sequences that must not come: i32 [count, width], how many tokens, then these, 2 or more. */
  readonly sequences?: Tensor | undefined;
  /** Tokens that are banned whatever was chosen. */
  readonly always?: {
    /** u32 [4, ⌈vocabulary / 32⌉], bits: of the first token, the second, all others, the last. */
    readonly planes: Tensor;
    /** Nothing but the plane counts for the first token. */
    readonly isFirstFixed: boolean;
    /** The same for the last. */
    readonly isLastFixed: boolean;
  } | undefined;
}

/**
 * A bit for each token that is banned. The start token counts as part of the sequence.
 *
 * @param tokens i32 [B, length, K]
 * @param position u32 [1], of the newest token
 * @returns u32 [B, K, ⌈vocabulary / 32⌉]; token t is bit t mod 32 of word ⌊t / 32⌋
 */
export function bannedTokens(
  tokens: Tensor,
  position: Tensor,
  options: BannedTokensOptions,
): Tensor {
  const { vocabulary, size = 0, ancestors, ofSource, sequences, always } = options;
  const { tensors, optional } = optionalInputs({
    ancestors,
    planes: always?.planes,
    source: ofSource?.tokens,
    sequences,
  });
  return apply(bannedTokensOp, [tokens, position, ...tensors], {
    vocabulary,
    size,
    sourceSize: ofSource?.size ?? 0,
    isFirstFixed: always?.isFirstFixed ?? false,
    isLastFixed: always?.isLastFixed ?? false,
    optional,
  });
}

interface Attributes extends OptionalNames<"ancestors" | "planes" | "source" | "sequences"> {
  readonly vocabulary: number;
  readonly size: number;
  readonly sourceSize: number;
  readonly isFirstFixed: boolean;
  readonly isLastFixed: boolean;
}

const bannedTokensOp: Op<Attributes> = {
  name: "banned tokens",
  shape(inputs, attributes) {
    const [tokens, position] = inputs;
    const { ancestors, planes, source, sequences } = optionalOperands(inputs, attributes);
    const [batch, length, slots] = tokens.shape;
    const words = Math.ceil(attributes.vocabulary / 32);
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
    if (planes && (planes.dtype !== "u32" || !sameShape(planes.shape, [4, words]))) {
      fail("planes must be u32 [4, ⌈vocabulary / 32⌉]");
    }
    if (source && (source.dtype !== "i32" || !sameShape(source.shape, [batch, source.shape[1]]))) {
      fail("the source's tokens must be i32 [batch, source length]");
    }
    if (sequences && (sequences.dtype !== "i32" || sequences.shape.length !== 2)) {
      fail("sequences must be i32 [count, width]");
    }
    return [{ shape: [batch, slots, words], dtype: "u32" }];
  },
  kernel({ inputs, outputs: [banned], attributes }) {
    const [tokens, position] = inputs;
    const { ancestors, planes, source: from, sequences } = optionalOperands(inputs, attributes);
    const [batch, length, slots] = tokens.shape;
    const shader = { name: "banned-tokens", source };
    const [count, width] = sequences?.shape ?? [0, 0];
    const uniforms = {
      batch,
      slots,
      length,
      words: banned.shape[2],
      size: attributes.size,
      source_length: from?.shape[1] ?? 0,
      count,
      width,
      is_first_fixed: Number(attributes.isFirstFixed),
      is_last_fixed: Number(attributes.isLastFixed),
    };
    const rule = (entry: string, invocations: number, bindings: Record<string, Tensor>) => ({
      shader,
      entry,
      constants: { has_ancestors: Number(ancestors !== undefined) },
      uniforms: entry === "ban_source" ? { ...uniforms, size: attributes.sourceSize } : uniforms,
      bindings: { tokens, position, ...(ancestors && { ancestors }), ...bindings, banned },
      workgroups: linearGrid(batch * slots * invocations),
    });
    return [
      {
        shader,
        entry: "clear",
        constants: { has_planes: Number(planes !== undefined) },
        uniforms,
        bindings: { ...(planes && { position, planes }), banned },
        workgroups: elementGrid(banned),
      },
      ...attributes.size > 0 ? [rule("ban", length, {})] : [],
      ...from ? [rule("ban_source", from.shape[1], { source: from })] : [],
      ...sequences ? [rule("ban_sequences", count, { sequences })] : [],
    ];
  },
};
