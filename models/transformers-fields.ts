/**
 * Fields of `config.json` whose meaning depends on one another, or on the version of transformers that
 * wrote them.
 */

import type { ModelType } from "./supported.ts";

/** What stands between the two products of a feed-forward layer, by transformers' names; `gelu_new` is the tanh form. */
export type Activation = "relu" | "gelu" | "gelu_new" | "silu";

/** Reads a field of a type. @throws for another type, and for none where there is no fallback */
export type Field = <T>(name: string, type: "number" | "boolean" | "string", fallback?: T) => T;
/** Throws an error that names the file. */
export type Refuse = (message: string) => never;

/** transformers' names of the activations that are computed here; of several for one, all are accepted. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: "relu",
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_new",
  gelu_fast: "gelu_new",
  gelu_pytorch_tanh: "gelu_new",
  gelu_python_tanh: "gelu_new",
  gelu_accurate: "gelu_new",
  silu: "silu",
  swish: "silu",
};

/** What a feed-forward layer computes between its products. */
export interface FeedForwardFields {
  readonly activation: Activation;
  /** Whether a second product is multiplied by what is activated (Shazeer 2020). */
  readonly gated: boolean;
}

/**
 * The feed-forward layers. `feed_forward_proj` says both the activation and whether there is a gate; where
 * transformers has written these apart as well, they count, as they do there.
 */
export function feedForwardOf(
  type: ModelType,
  field: Field,
  refuse: Refuse,
): FeedForwardFields {
  const projection = field("feed_forward_proj", "string", type === "mt5" ? "gated-gelu" : "relu");
  const [, gate, name] = /^(gated-)?([^-]+)$/.exec(projection) ?? [];
  const said = projection === "gated-gelu" ? "gelu_new" : name;
  const activation = ACTIVATIONS[field("dense_act_fn", "string", said ?? "")];
  if (!said || !activation) {
    const culprit = !said || !ACTIVATIONS[said]
      ? `feed_forward_proj "${projection}"`
      : `dense_act_fn "${field("dense_act_fn", "string")}"`;
    return refuse(
      `${culprit} is not supported; use relu, gelu, gelu_new or silu, with or without "gated-"`,
    );
  }
  return { activation, gated: field("is_gated_act", "boolean", gate !== undefined) };
}

/**
 * The LM head, and whether its input is scaled. transformers 4 took the one for a sign of the other; 5
 * always says `tie_word_embeddings`, whether or not the file has a head of its own, and wrote the scaling
 * down apart. mT5 alone has no field for it: scaling is of 4, and of tied heads there.
 */
export function headOf(
  type: ModelType,
  fields: Readonly<Record<string, unknown>>,
  field: Field,
): { tiedEmbeddings: boolean; scaledOutputs: boolean } {
  const tied = field("tie_word_embeddings", "boolean", type !== "mt5");
  const isOld = /^[0-4]\./.test(String(fields.transformers_version ?? ""));
  const scaled = tied && (type !== "mt5" || isOld);
  return {
    tiedEmbeddings: tied,
    scaledOutputs: field("scale_decoder_outputs", "boolean", scaled),
  };
}

/** Once as transformers' own files have it, and once without its exception: "gated-gelu" means `gelu_new`. */
export function formatFeedForward(
  { activation, gated }: FeedForwardFields,
): Record<string, unknown> {
  const name = gated && activation === "gelu_new" ? "gelu" : activation;
  return {
    feed_forward_proj: gated ? `gated-${name}` : name,
    dense_act_fn: activation,
    is_gated_act: gated,
  };
}
