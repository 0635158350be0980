/**
 * The tokenizer that a directory's files describe together: `tokenizer.json` or `spiece.model`, and the
 * names and tokens that lie in smaller files beside it.
 *
 * Invariant: it is the one that the directory's users see today. `transformers` 5 makes a T5's tokenizer
 * anew of its vocabulary (rule `transformers`), where version 4 took `tokenizer.json` as it is (rule
 * `file`); the two differ in white space only, and there 4's own `T5Tokenizer` agrees with 5. So
 * the first holds where the file says nothing that it would drop, and the second elsewhere.
 */

import { base64Decode } from "@bufbuild/protobuf/wire";
import { UserError } from "../errors.ts";
import { gatherTokens, settingsOf } from "./special-tokens.ts";
import { sentencepieceTokenizer, t5PostProcessor, t5Text } from "./sentencepiece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { asTokenizer, type Component, modelType, type TokenizerJson } from "./tokenizer-json.ts";

/** How blanks and sentinels are read; see the module's header. */
export const TOKENIZER_RULES = ["transformers", "file"] as const;

/** See {@linkcode TOKENIZER_RULES}. */
export type TokenizerRule = typeof TOKENIZER_RULES[number];

type Json = Readonly<Record<string, unknown>>;

/** A tokenizer's files, as far as they are there, parsed. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  readonly tokenizer?: Json;
  /** `tokenizer_config.json` */
  readonly config?: Json;
  /** `special_tokens_map.json` */
  readonly specialTokensMap?: Json;
  /** `added_tokens.json` */
  readonly addedTokens?: Json;
  /** `spiece.model`, which counts only without a `tokenizer.json` */
  readonly sentencepiece?: Uint8Array;
}

/** What else decides. */
export interface TokenizerContext {
  /** Where the files lie, for errors. */
  readonly location: string;
  /** The model's `config.json`. */
  readonly model?: Json;
  /** Whatever rule the files would call for. */
  readonly rule?: TokenizerRule;
}

/** What `createTokenizer` makes a tokenizer of, and the rule by which it was made. */
export interface ResolvedTokenizer {
  readonly json: TokenizerJson;
  readonly config: Json;
  readonly rule: TokenizerRule;
}

/**
 * Puts a tokenizer's files together.
 *
 * @throws {UserError} naming what is wrong with which file
 */
export function resolveTokenizer(
  files: TokenizerFiles,
  context: TokenizerContext,
): ResolvedTokenizer {
  try {
    return resolve(files, context);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${context.location}: the tokenizer's files are not usable: ${reason}`);
  }
}

function resolve(files: TokenizerFiles, context: TokenizerContext): ResolvedTokenizer {
  const { tokenizer } = files;
  const config = settingsOf(files);
  const vocabSize = context.model?.vocab_size as number | undefined;
  const isT5 = isT5Class(config.tokenizer_class ?? context.model?.tokenizer_class);
  const sentinels = typeof config.extra_ids === "number" ? config.extra_ids : undefined;
  if (tokenizer === undefined) {
    if (!isT5) {
      throw new UserError(
        `${context.location}: tokenizer_config.json asks for the class ${config.tokenizer_class}, of ` +
          `which only a tokenizer.json can be read; save one with transformers' save_pretrained`,
      );
    }
    const made = sentencepieceTokenizer(files.sentencepiece!, `${context.location}/spiece.model`, {
      ...(sentinels !== undefined && { sentinels }),
      ...(vocabSize !== undefined && { vocabSize }),
      ...(context.rule && { rule: context.rule }),
      prefix: config.add_prefix_space === false
        ? "never"
        : config.legacy === false
        ? "first"
        : "always",
    });
    const base = made.tokenizer;
    return {
      json: {
        ...base,
        added_tokens: gatherTokens(base, files, { defaults: {}, vocabSize, rule: made.rule }),
      },
      config: { ...made.config, ...config },
      rule: made.rule,
    };
  }

  const file = asTokenizer(tokenizer);
  const rule = context.rule ?? (isT5 && isPlainT5(file) ? "transformers" : "file");
  const names = { eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
  const base = rule === "transformers" ? rebuilt(file, context) : withSettings(file, config);
  const defaults = rule === "transformers" ? { names, sentinels: sentinels ?? 100 } : {};
  return {
    json: { ...base, added_tokens: gatherTokens(base, files, { defaults, vocabSize, rule }) },
    config,
    rule,
  };
}

/**
 * The contents of `tokenizer.json` and `tokenizer_config.json` that give a resolved tokenizer to all who
 * read them: here, and in both versions of transformers.
 */
export function tokenizerJsonFiles(
  { json, config, rule }: ResolvedTokenizer,
  { idOf }: Pick<Tokenizer, "idOf">,
): { json: object; config: object } {
  return {
    json: {
      version: "1.0",
      truncation: null,
      padding: null,
      ...json,
      added_tokens: json.added_tokens.map((token) => ({ id: idOf(token.content), ...token })),
    },
    config: {
      ...namesOnly(config),
      tokenizer_class: rule === "file" ? "PreTrainedTokenizerFast" : "T5Tokenizer",
    },
  };
}

/** The settings as both versions read them: of tokens the texts, as `tokenizer.json` has the rest. */
function namesOnly({ extra_special_tokens, ...config }: Json): Json {
  const text = (token: unknown) => (token as { content?: string } | null)?.content ?? token;
  const names = Object.entries(config).map(([key, value]) => [
    key,
    /_token$/.test(key) ? text(value) : Array.isArray(value) ? value.map(text) : value,
  ]);
  return {
    ...Object.fromEntries(names),
    ...(Array.isArray(extra_special_tokens)
      ? { additional_special_tokens: extra_special_tokens.map(text) }
      : extra_special_tokens !== undefined && { extra_special_tokens }),
  };
}

/** Whether a class of transformers is that of T5's tokenizers, which is also that of who names none. */
function isT5Class(name: unknown): boolean {
  return typeof name !== "string" || /^M?T5Tokenizer(Fast)?$/.test(name);
}

/** Whether transformers 5 keeps all that a file says, but for what it does with white space. */
function isPlainT5(json: TokenizerJson): boolean {
  const { model, normalizer, pre_tokenizer, post_processor, decoder } = json;
  const normalizers = partsOf(normalizer, "normalizers");
  const preTokenizers = partsOf(pre_tokenizer, "pretokenizers");
  const isMark = (part: Component | undefined) =>
    part?.type === "Metaspace" && part.replacement === "\u2581" &&
    (part.prepend_scheme ?? "always") === "always" && part.add_prefix_space !== false;
  return modelType(model) === "Unigram" && model.unk_id === 2 && model.byte_fallback !== true &&
    normalizers.every(isAboutSpaces) &&
    normalizers.filter(({ type }) => type === "Precompiled").length <= 1 &&
    isMark(preTokenizers.at(-1)) && preTokenizers.at(-1)?.split !== false &&
    preTokenizers.slice(0, -1).every(({ type }) => type === "WhitespaceSplit") &&
    isMark(decoder ?? undefined) && endsWithEosOnly(post_processor);
}

function partsOf(component: Component | null | undefined, key: string): Component[] {
  if (!component) return [];
  return component.type === "Sequence" ? component[key] as Component[] : [component];
}

function isAboutSpaces({ type, pattern, content }: Component): boolean {
  if (type === "Precompiled" || type === "Strip") return true;
  const { Regex } = (pattern ?? {}) as { Regex?: string };
  return type === "Replace" && Regex === " {2,}" && (content === " " || content === "\u2581");
}

function endsWithEosOnly(postProcessor: Component | null | undefined): boolean {
  const { single = [] } = (postProcessor ?? {}) as {
    single?: { SpecialToken?: { id: string }; Sequence?: object }[];
  };
  return postProcessor?.type === "TemplateProcessing" && single.length === 2 &&
    single[0].Sequence !== undefined && single[1].SpecialToken?.id === "</s>";
}

/** What the T5Tokenizer of transformers 5 makes of a file: of its text parts only vocabulary and table. */
function rebuilt(json: TokenizerJson, { location }: TokenizerContext): TokenizerJson {
  const { model, normalizer, truncation } = json;
  if (modelType(model) !== "Unigram") {
    throw new UserError(
      `${location}/tokenizer.json has a ${
        modelType(model)
      } model, of which transformers 5 makes no ` +
        `T5Tokenizer; leave --tokenizer-rule out, or say file`,
    );
  }
  const vocab = model.vocab as readonly (readonly [string, number])[];
  const table = partsOf(normalizer, "normalizers").find(({ type }) => type === "Precompiled")
    ?.precompiled_charsmap as string | undefined;
  return {
    added_tokens: [],
    ...(truncation && { truncation }),
    post_processor: t5PostProcessor(vocab.findIndex(([piece]) => piece === "</s>")),
    ...t5Text(vocab, table ? base64Decode(table) : undefined),
  };
}

/** Classes that, whatever their file says, put a space first only if `tokenizer_config.json` says so. */
const BYTE_LEVEL_CLASS = /^(Roberta|GPT2|Bart)Tokenizer(Fast)?$/;

/** A file with what `tokenizer_config.json` says otherwise, for classes that heed it. */
function withSettings(json: TokenizerJson, config: Json): TokenizerJson {
  const { normalizer, pre_tokenizer } = json;
  if (
    normalizer?.type === "BertNormalizer" && /^BertTokenizer/.test(String(config.tokenizer_class))
  ) {
    return {
      ...json,
      normalizer: {
        ...normalizer,
        lowercase: config.do_lower_case ?? true,
        strip_accents: config.strip_accents ?? null,
        handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      },
    };
  }
  if (
    pre_tokenizer?.type !== "ByteLevel" || !BYTE_LEVEL_CLASS.test(String(config.tokenizer_class))
  ) return json;
  const add_prefix_space = config.add_prefix_space === true;
  return { ...json, pre_tokenizer: { ...pre_tokenizer, add_prefix_space } };
}
