/**
 * `generation_config.json`: how a model's publisher has it generate, under the names of transformers.
 *
 * Invariant: a field that changes what transformers generates is honoured, or refused by its name once it
 * would have an effect. Models from before that file have its fields in `config.json`.
 */

import { UserError } from "../errors.ts";
import { type Field, fieldReaders, UNSUPPORTED, WITHOUT_EFFECT } from "./generation-fields.ts";
import type { GenerationOptions, SamplingOptions } from "./options.ts";

/** What a file says of generation. */
export interface GenerationDefaults {
  /** Where it says so. */
  readonly file: string;
  readonly options: Partial<Omit<GenerationOptions, "sampling">>;
  /** Whether tokens are drawn, where no flag says otherwise. */
  readonly isSampled: boolean;
  /** How, if they are. */
  readonly sampling: SamplingOptions;
  /** The file's own words for what is not done here. */
  readonly unsupported: readonly Unsupported[];
  /** Fields that neither this project nor transformers knows. */
  readonly unknown: readonly string[];
}

/** A field with a value that is not done here. */
export interface Unsupported {
  readonly field: string;
  readonly value: unknown;
  /** The way of choosing that it belongs to. */
  readonly belongsTo: "all" | "sampling" | "beams" | "greedy";
}

/** A parsed file. */
export interface JsonFile {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly file: string;
}

/** Options as flags give them: `sampling` is false where tokens must not be drawn. */
export type GivenOptions =
  & {
    readonly [Name in Exclude<keyof GenerationOptions, "sampling">]?:
      | GenerationOptions[Name]
      | undefined;
  }
  & { readonly sampling?: SamplingOptions | false | undefined };

/**
 * Reads the fields of a model's files.
 *
 * @param generation the parsed `generation_config.json`, if there is one
 * @param config the parsed `config.json`, whose fields count where there is no other file
 * @throws {UserError} naming a field of the wrong type
 */
export function readGenerationConfig(
  generation: JsonFile | undefined,
  config: JsonFile,
): GenerationDefaults {
  const { file } = generation ?? config;
  // Old files have all defaults of their time: who has this length has set none.
  const { max_length, ...others } = config.fields;
  const fields = generation?.fields ?? (max_length === 20 ? others : config.fields);
  const options: Record<string, unknown> = {}, sampling: Record<string, unknown> = {};
  const field: Field = { fields, file, options, sampling };
  for (const [name, read] of Object.entries(fieldReaders)) {
    if (fields[name] !== undefined && fields[name] !== null) read(field, name);
  }
  const isSampled = fields.do_sample === true;
  // The default of transformers, of which nobody who draws by hand should hear.
  if (isSampled) sampling.topK ??= 50;
  const unsupported = UNSUPPORTED.filter(({ field, isSet }) => {
    const value = fields[field];
    return value !== undefined && value !== null && isSet(value);
  }).map(({ field, belongsTo }): Unsupported => ({ field, value: fields[field], belongsTo }));
  const known = [
    ...Object.keys(fieldReaders),
    ...UNSUPPORTED.map(({ field }) => field),
    ...WITHOUT_EFFECT,
  ];
  return {
    file,
    options,
    isSampled,
    sampling,
    unsupported,
    unknown: generation ? Object.keys(fields).filter((name) => !known.includes(name)) : [],
  };
}

/**
 * What is given, and for the rest what the model's files say.
 *
 * @param maxLength most tokens of a sequence where neither says so, the start token included
 * @throws {UserError} naming a field of the file that would have an effect, and has none here
 */
export function withDefaults(
  { sampling: drawing, ...given }: GivenOptions,
  defaults: GenerationDefaults | undefined,
  maxLength: number,
): GenerationOptions {
  if (defaults === undefined) {
    const longest = given.maxLength ?? maxLength;
    return { ...stripped(given), maxLength: longest, ...drawing && { sampling: drawing } };
  }
  const longest = given.maxLength ?? defaults.options.maxLength ?? maxLength;
  const options = { ...defaults.options, ...stripped(given), maxLength: longest };
  const { beams = 1 } = options;
  const isSampled = drawing === undefined ? defaults.isSampled : drawing !== false;
  if (isSampled && beams > 1) {
    throw new UserError(
      `sampling and ${beams} beams cannot be combined (${defaults.file} asks for one of them): give ` +
        "--no-sample, or --beams 1",
    );
  }
  const way = beams > 1 ? "beams" : isSampled ? "sampling" : "greedy";
  checkSupported(defaults, way);
  // What belongs to another way of choosing says nothing, as in transformers, unless it was given.
  const others = way === "beams" ? {} : {
    lengthPenalty: given.lengthPenalty,
    earlyStopping: given.earlyStopping,
    renormalize: given.renormalize,
    ...way === "greedy" && { outputs: given.outputs },
  };
  const minLength = given.minLength ?? Math.min(options.minLength ?? 0, longest);
  return {
    ...options,
    ...others,
    maxLength: longest,
    minLength,
    ...isSampled && { sampling: { ...defaults.sampling, ...stripped(drawing || {}) } },
  };
}

function checkSupported(
  { file, unsupported }: GenerationDefaults,
  way: Unsupported["belongsTo"],
): void {
  const problem = unsupported.find(({ belongsTo }) => belongsTo === "all" || belongsTo === way);
  if (problem === undefined) return;
  const { field, value } = problem;
  throw new UserError(
    `${file}: "${field}" is ${
      JSON.stringify(value)
    }, which is not supported: give --generation-config ` +
      "none to go without the file, or the name of another one",
  );
}

/** Without what is undefined. */
function stripped<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}

/**
 * What a file changed, in words, of what is done: nothing that was given, that is the default, or that the
 * model's configuration says as well.
 */
export function describeDefaults(
  { options, isSampled, sampling }: GenerationDefaults,
  { sampling: drawing, ...given }: GivenOptions,
  chosen: GenerationOptions,
  config: { readonly endIds: readonly number[]; readonly decoderStartId: number },
): string[] {
  const taken = Object.fromEntries(
    Object.entries(options).filter(([name]) => {
      const key = name as keyof typeof given;
      return given[key] === undefined && chosen[key] !== undefined;
    }),
  ) as GenerationDefaults["options"];
  const { beams = 1, lengthPenalty = 1, earlyStopping = false, outputs = 1 } = taken;
  const { minLength = 0, noRepeatNgram = 0, sourceNgram = 0 } = taken;
  const { repetitionPenalty = 1, sourcePenalty = 1, badWords = [] } = taken;
  const { suppressTokens = [], beginSuppressTokens = [], forcedBos, forcedEos = [] } = taken;
  const { endIds = config.endIds, startId = config.decoderStartId, lengthDecay } = taken;
  const { temperature = 1, topK = 0, topP = 1 } = sampling;
  const said: [text: string, isSaid: boolean][] = [
    [`${beams} beams`, beams > 1],
    [`length penalty ${lengthPenalty}`, lengthPenalty !== 1],
    ["early stopping", earlyStopping === true],
    ["never stopping early", earlyStopping === "never"],
    [
      `sampling (temperature ${temperature}, top-k ${topK}, top-p ${topP})`,
      isSampled && drawing === undefined,
    ],
    [`${outputs} outputs`, outputs > 1],
    [`at most ${chosen.maxLength - 1} ids`, taken.maxLength !== undefined],
    [`at least ${chosen.minLength} ids`, minLength > 1],
    [`no ${noRepeatNgram} ids in a row twice`, noRepeatNgram > 0],
    [`no ${sourceNgram} ids in a row of the source`, sourceNgram > 0],
    [`repetition penalty ${repetitionPenalty}`, repetitionPenalty !== 1],
    [`encoder repetition penalty ${sourcePenalty}`, sourcePenalty !== 1],
    [`${badWords.length} bad words`, badWords.length > 0],
    [`suppressed ids ${suppressTokens.join(" ")}`, suppressTokens.length > 0],
    [`suppressed first ids ${beginSuppressTokens.join(" ")}`, beginSuppressTokens.length > 0],
    [`first id ${forcedBos}`, forcedBos !== undefined],
    [`last id ${forcedEos.join(" or ")}`, forcedEos.length > 0],
    [`end ids ${endIds.join(" ")}`, endIds.join() !== config.endIds.join()],
    [`start id ${startId}`, startId !== config.decoderStartId],
    [
      `growing favour for the end from ${lengthDecay?.start} ids on (${lengthDecay?.factor})`,
      lengthDecay !== undefined,
    ],
    ["renormalised scores", taken.renormalize === true],
    ["invalid logits removed", taken.removeInvalid === true],
  ];
  return said.filter(([, isSaid]) => isSaid).map(([text]) => text);
}
