/**
 * The shapes of the public T5 models, by their names on the hub.
 *
 * They have not changed since they were published (Raffel et al. 2020; Shazeer 2020; Lester et al. 2021;
 * Xue et al. 2021; Chung et al. 2022), so that a question about a size needs neither weights nor network.
 */

/** A size's fields of `config.json`. Version 1.1 named the two largest by letters. */
interface Size {
  readonly names: readonly string[];
  readonly d_model: number;
  readonly d_kv: number;
  readonly d_ff: number;
  readonly num_layers: number;
  readonly num_heads: number;
}

const VERSION_1_0: readonly Size[] = [
  { names: ["small"], d_model: 512, d_kv: 64, d_ff: 2048, num_layers: 6, num_heads: 8 },
  { names: ["base"], d_model: 768, d_kv: 64, d_ff: 3072, num_layers: 12, num_heads: 12 },
  { names: ["large"], d_model: 1024, d_kv: 64, d_ff: 4096, num_layers: 24, num_heads: 16 },
  { names: ["3b"], d_model: 1024, d_kv: 128, d_ff: 16384, num_layers: 24, num_heads: 32 },
  { names: ["11b"], d_model: 1024, d_kv: 128, d_ff: 65536, num_layers: 24, num_heads: 128 },
];

/** Also that of the LM-adapted checkpoints, of Flan-T5 and of mT5. */
const VERSION_1_1: readonly Size[] = [
  { names: ["small"], d_model: 512, d_kv: 64, d_ff: 1024, num_layers: 8, num_heads: 6 },
  { names: ["base"], d_model: 768, d_kv: 64, d_ff: 2048, num_layers: 12, num_heads: 12 },
  { names: ["large"], d_model: 1024, d_kv: 64, d_ff: 2816, num_layers: 24, num_heads: 16 },
  { names: ["xl", "3b"], d_model: 2048, d_kv: 64, d_ff: 5120, num_layers: 24, num_heads: 32 },
  { names: ["xxl", "11b"], d_model: 4096, d_kv: 64, d_ff: 10240, num_layers: 24, num_heads: 64 },
];

/**
 * What the `config.json` of a public model says of its shape.
 *
 * @param id `t5-base`, `google-t5/t5-base`, `google/t5-v1_1-base`, `google/t5-base-lm-adapt`,
 * `google/flan-t5-base`, `google/mt5-base` and the other sizes; the organisation may be left out
 * @returns `undefined` for any other name
 */
export function publicConfig(id: string): Record<string, unknown> | undefined {
  const pattern = /^(?:google\/|google-t5\/)?(flan-t5|t5-v1_1|t5|mt5)-(\w+?)(-lm-adapt)?$/;
  const [, family, name, adapted] = pattern.exec(id) ?? [];
  const isFirst = family === "t5" && !adapted, isMultilingual = family === "mt5";
  const sizes = isFirst ? VERSION_1_0 : VERSION_1_1;
  const size = sizes.find(({ names }) => names.includes(name));
  if (!size || (isMultilingual && adapted)) return undefined;
  const { names: _, ...shape } = size;
  return {
    model_type: isMultilingual ? "mt5" : "t5",
    vocab_size: isMultilingual ? 250112 : 32128,
    ...shape,
    num_decoder_layers: shape.num_layers,
    relative_attention_num_buckets: 32,
    dropout_rate: 0.1,
    feed_forward_proj: isFirst ? "relu" : "gated-gelu",
    tie_word_embeddings: isFirst,
  };
}
