/**
 * What decides on tokens beside the model, on the device: which must not come, and what becomes of the
 * others' scores. One for all ways of choosing.
 *
 * Where no rule is set, nothing is computed. A rule that only bans costs bits of a mask; one that changes
 * scores costs a pass over them. The order is that of the logits processors of transformers.
 */

import type { ModelConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { read, type Variable } from "../graph/leaves.ts";
import { adjustedScores } from "../graph/ops/adjusted-scores.ts";
import { bannedTokens, type BannedTokensOptions } from "../graph/ops/banned-tokens.ts";
import type { HostArray } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";
import { writeVariable } from "../graph/variables.ts";
import type { Settings } from "./options.ts";
import type { SearchShape, SearchStart } from "./search.ts";
import type { VariableSet } from "./variable-set.ts";

/** What the ops that choose are to take in place of the logits, or leave out of them. */
interface Ruled {
  readonly banned?: Tensor;
  readonly scores?: Tensor;
}

/** Rules compiled for a shape of batch. */
export class TokenRules {
  /** The tokens that end a sequence. */
  readonly endIds: readonly number[];
  readonly startId: number;
  /** End tokens are forbidden before, the start token counted. */
  readonly minLength: number;
  readonly #settings: Settings;
  readonly #vocabulary: number;
  readonly #gpu: Gpu;
  readonly #variables: Partial<Record<"planes" | "sequences" | "growth", Variable>>;
  /** What each batch brings: its source's tokens, and bits of which these are. */
  readonly #source: { readonly tokens?: Variable; readonly seen?: Variable };

  constructor(
    config: ModelConfig,
    settings: Settings,
    { batchSize, sourceLength }: SearchShape,
    variables: VariableSet,
  ) {
    const { rules, maxLength, minLength, endIds = config.endIds } = settings;
    const { startId = config.decoderStartId } = settings;
    checkIds(settings, config);
    this.endIds = endIds;
    this.startId = startId;
    this.#settings = settings;
    this.#vocabulary = config.vocabSize;
    this.#gpu = variables.gpu;
    // What is forced is so whatever the length.
    const isFirstEnd = rules.forcedBos !== undefined && endIds.includes(rules.forcedBos);
    this.minLength = isFirstEnd
      ? 0
      : rules.forcedEos
      ? Math.min(minLength, maxLength - 1)
      : minLength;

    const words = Math.ceil(config.vocabSize / 32);
    const constant = (
      name: string,
      shape: number[],
      dtype: "f32" | "i32" | "u32",
      values: HostArray,
    ) => {
      const variable = variables.create(name, shape, dtype);
      writeVariable(this.#gpu, variable, values);
      return variable;
    };
    const planes = planesOf(settings, endIds, config.vocabSize);
    const sequences = rules.badWords?.filter(({ length }) => length > 1) ?? [];
    const width = 1 + Math.max(...sequences.map(({ length }) => length));
    const { lengthDecay: decay } = rules;
    this.#variables = {
      ...planes && { planes: constant("banned planes", [4, words], "u32", planes) },
      ...sequences.length > 0 && {
        sequences: constant(
          "banned sequences",
          [sequences.length, width],
          "i32",
          Int32Array.from(
            sequences.flatMap((
              word,
            ) => [word.length, ...word, ...new Array(width - 1 - word.length).fill(0)]),
          ),
        ),
      },
      ...decay && {
        growth: constant(
          "growth of end tokens",
          [maxLength],
          "f32",
          Float32Array.from(
            { length: maxLength },
            (_, i) => i > decay.start ? decay.factor ** (i - decay.start) - 1 : 0,
          ),
        ),
      },
    };
    this.#source = {
      ...rules.sourceNgram &&
        { tokens: variables.create("source tokens", [batchSize, sourceLength], "i32") },
      ...rules.sourcePenalty &&
        { seen: variables.create("source seen", [batchSize, words], "u32") },
    };
  }

  /**
   * Applies the rules to a step.
   *
   * @param logits [B · slots, V]
   * @param tokens i32 [B, maxLength, slots]
   * @param ancestors u32 [B, slots, maxLength], for sequences that go on from one another
   */
  apply(logits: Tensor, position: Tensor, tokens: Tensor, ancestors?: Tensor): Ruled {
    const { rules } = this.#settings;
    const vocabulary = this.#vocabulary;
    const { planes, sequences } = this.#variables;
    const bans: BannedTokensOptions = {
      vocabulary,
      ancestors,
      size: rules.noRepeatNgram ?? 0,
      ...rules.sourceNgram &&
        { ofSource: { tokens: read(this.#source.tokens!), size: rules.sourceNgram } },
      ...sequences && { sequences: read(sequences) },
      ...planes && {
        always: {
          planes: read(planes),
          isFirstFixed: rules.forcedBos !== undefined,
          isLastFixed: rules.forcedEos !== undefined,
        },
      },
    };
    const isBanned = bans.size! > 0 || bans.ofSource || bans.sequences || bans.always;
    return {
      ...isBanned && { banned: bannedTokens(tokens, position, bans) },
      ...this.#scores(logits, position, tokens, ancestors),
    };
  }

  /** Takes in what rules need of a batch. */
  reset({ inputIds, attentionMask }: SearchStart): void {
    const { tokens, seen } = this.#source;
    if (tokens) {
      writeVariable(this.#gpu, tokens, inputIds.map((id, i) => attentionMask[i] === 0 ? -1 : id));
    }
    if (seen) {
      const [batch, words] = seen.shape;
      const bits = new Uint32Array(batch * words);
      const length = inputIds.length / batch;
      inputIds.forEach((id, i) => {
        if (attentionMask[i] === 0) return;
        setBit(bits, Math.floor(i / length) * words, id);
      });
      writeVariable(this.#gpu, seen, bits);
    }
  }

  #scores(logits: Tensor, position: Tensor, tokens: Tensor, ancestors?: Tensor): Ruled {
    const { rules, strategy, maxLength } = this.#settings;
    const { repetitionPenalty, sourcePenalty, forcedBos, forcedEos, removeInvalid } = rules;
    const { growth } = this.#variables;
    const vocabulary = this.#vocabulary;
    // A beam's sum is that of scores. Other searches compare what is left, which a ban settles.
    const isForced = strategy.kind === "beams" && (forcedBos !== undefined || forcedEos);
    if (!repetitionPenalty && !sourcePenalty && !growth && !removeInvalid && !isForced) return {};
    return {
      scores: adjustedScores(logits, position, {
        slots: tokens.shape[2],
        maxLength,
        endIds: this.endIds,
        isLogarithm: strategy.kind === "beams",
        isFinite: removeInvalid ?? false,
        isFirstForced: forcedBos !== undefined,
        isLastForced: forcedEos !== undefined,
        ...repetitionPenalty && {
          penalty: {
            seen: bannedTokens(tokens, position, { vocabulary, ancestors, size: 1 }),
            by: repetitionPenalty,
          },
        },
        ...sourcePenalty &&
          { sourcePenalty: { seen: read(this.#source.seen!), by: 1 / sourcePenalty } },
        ...growth && { growth: read(growth) },
      }),
    };
  }
}

/** Bits of what is banned as the first token, the second, any other and the last that there is room for. */
function planesOf(
  { rules, maxLength }: Settings,
  endIds: readonly number[],
  vocabulary: number,
): Uint32Array | undefined {
  const { suppressTokens = [], beginSuppressTokens = [], badWords = [], forcedBos, forcedEos } =
    rules;
  // As in transformers, an end token by itself is no bad word.
  const single = badWords.flatMap((word) =>
    word.length === 1 && !endIds.includes(word[0]) ? word : []
  );
  const always = [...suppressTokens, ...single];
  const isNone = always.length + beginSuppressTokens.length === 0;
  if (isNone && forcedBos === undefined && forcedEos === undefined) return undefined;
  const others = (forced: readonly number[]) => [
    ...suppressTokens,
    ...Array.from({ length: vocabulary }, (_, id) => id).filter((id) => !forced.includes(id)),
  ];
  const begin = [...always, ...beginSuppressTokens];
  const planes = forcedBos === undefined
    ? [begin, always, always]
    : [others([forcedBos]), begin, always];
  planes.push(forcedEos ? others(forcedEos) : planes[Math.min(maxLength - 2, 2)]);
  const words = Math.ceil(vocabulary / 32);
  const bits = new Uint32Array(4 * words);
  for (const [plane, ids] of planes.entries()) {
    for (const id of ids) setBit(bits, plane * words, id);
  }
  return bits;
}

/** Marks a token in the mask that begins at `first`. */
function setBit(bits: Uint32Array, first: number, id: number): void {
  bits[first + (id >>> 5)] |= 1 << (id & 31);
}

/** @throws {UserError} naming the first id that the model has no token of */
function checkIds({ rules, endIds = [], startId = 0 }: Settings, { vocabSize }: ModelConfig): void {
  const { suppressTokens = [], beginSuppressTokens = [], badWords = [], forcedEos = [] } = rules;
  const ids = {
    suppressTokens,
    beginSuppressTokens,
    forcedEos,
    endIds,
    badWords: badWords.flat(),
    startId: [startId],
    forcedBos: rules.forcedBos === undefined ? [] : [rules.forcedBos],
  };
  for (const [name, list] of Object.entries(ids)) {
    const beyond = list.find((id) => id >= vocabSize);
    if (beyond === undefined) continue;
    throw new UserError(
      `${name} names the token ${beyond}, but the model has none from ${vocabSize} on`,
    );
  }
}
