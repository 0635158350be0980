/** What the flags are seen to do that say how answers are searched for: those that generate and eval share. */

import type { Trial } from "./trial.ts";

/** Half of the vocabulary: some of them are in any answer. */
const half = Array.from({ length: 1000 }, (_, i) => i + 100).join(",");
const beams = "--beams 3";

/**
 * The trials.
 *
 * @param base the command with a model of the usual kind, which prints or writes answers of 8 ids
 * @param other the same with another model
 */
export function searchTrials(
  base: string,
  other: (model: string) => string,
): Record<string, Trial> {
  return {
    "--max-length": { args: "--max-length 4", base },
    "--min-length": {
      args: "--min-length 8",
      base: other("ending"),
      beside: "--sample --top-k 2000",
    },
    "--length-penalty": { args: "--length-penalty 3", base: other("ending"), beside: beams },
    "--early-stopping": {
      args: "--early-stopping",
      base: other("ending"),
      beside: `${beams} --length-penalty 3 --max-length 30`,
    },
    "--beam-rule": { args: "--beam-rule reference", base: other("ending"), beside: beams },
    "--renormalize-logits": {
      args: "--renormalize-logits",
      base,
      beside: `${beams} --suppress-tokens ${half}`,
    },
    "--no-renormalize-logits": {
      args: "--no-renormalize-logits",
      base,
      beside: `${beams} --suppress-tokens ${half} --renormalize-logits`,
    },
    "--sample": { args: "--sample", base },
    "--no-sample": { args: "--no-sample", base, beside: "--generation-config @/sampling.json" },
    "--temperature": { args: "--temperature 5", base, beside: "--sample" },
    "--top-k": { args: "--top-k 2", base, beside: "--sample" },
    "--top-p": { args: "--top-p 0.1", base, beside: "--sample" },
    "--seed": { args: "--seed 4", base, beside: "--sample" },
    "--no-repeat-ngram": { args: "--no-repeat-ngram 1", base: other("ending") },
    "--encoder-no-repeat-ngram": {
      args: "--encoder-no-repeat-ngram 1",
      base,
      // Words of the text, so that there is something to repeat.
      beside: "--encoder-repetition-penalty 1000",
    },
    "--repetition-penalty": { args: "--repetition-penalty 50", base: other("ending") },
    "--encoder-repetition-penalty": { args: "--encoder-repetition-penalty 1000", base },
    "--bad-words": { args: "--bad-words child,humour", base },
    "--suppress-tokens": { args: `--suppress-tokens ${half}`, base },
    "--begin-suppress-tokens": { args: `--begin-suppress-tokens ${half}`, base },
    "--forced-bos-token": { args: "--forced-bos-token 150", base },
    "--forced-eos-token": { args: "--forced-eos-token 150", base },
    "--eos-token": { args: `--eos-token ${half}`, base },
    "--decoder-start-token": { args: "--decoder-start-token 150", base },
    "--exponential-decay-length-penalty": {
      args: "--exponential-decay-length-penalty 2,1000",
      base: other("ending"),
    },
    "--remove-invalid-values": { args: "--remove-invalid-values", base: other("broken") },
    "--no-remove-invalid-values": {
      args: "--no-remove-invalid-values",
      base: other("broken"),
      beside: "--remove-invalid-values",
    },
    "--generation-config": { args: "--generation-config @/sampling.json", base },
  };
}
