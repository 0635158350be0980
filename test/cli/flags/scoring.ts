/** What each flag is seen to do of the commands that use a trained model: eval, generate and export. */

import { evalCommand } from "../../../cli/eval.ts";
import { exportCommand } from "../../../cli/export.ts";
import { generateCommand } from "../../../cli/generate.ts";
import { countedDevice } from "./observe.ts";
import { searchTrials } from "./searching.ts";
import type { Trials } from "./trial.ts";

const mine = "--data @/data/mine/test.jsonl --tasks mine";

const scoring = (model: string) =>
  `--checkpoint @/${model} ${mine} --max-length 8 --out @/out/predictions.jsonl`;

/** `deno task eval`, of the run in `run`. */
export const evaluation: Trials = {
  command: () => evalCommand(countedDevice),
  base: "--run @/run --out @/out/predictions.jsonl",
  trials: {
    "--run": { args: "--run @/run", base: "" },
    "--checkpoint": { args: "--checkpoint @/adapted", base: mine },
    "--which": { args: "--which latest" },
    "--backbone": { args: "--backbone @/other", seen: "refusal" }, // it has other weights
    "--tokenizer": {
      args: "--tokenizer @/tokenizer",
      base: `--checkpoint @/adapted ${mine}`,
      seen: "work",
    },
    "--tokenizer-rule": { args: "--tokenizer-rule transformers", seen: "refusal" },
    "--data": { args: "--data @/data-too" },
    "--tasks": { args: "--tasks yours", beside: "--data @/data" },
    "--split": { args: "--split validation" },
    "--batch-size": { args: "--batch-size 1", seen: "work" },
    "--beams": { args: "--beams 2", seen: "work" },
    "--skip-bad": { args: "--skip-bad", beside: "--data @/data --tasks rte --split validation" },
    "--no-skip-bad": {
      args: "--no-skip-bad",
      beside: "--data @/data --tasks rte --split validation --skip-bad",
      seen: "refusal",
    },
    "--weight-storage": { args: "--weight-storage f16", seen: "work" },
    "--out": { args: "--out @/out/predictions.jsonl", base: "--run @/run" },
    "--json": { args: "--json" },
    "--task-file": {
      args: "--task-file @/task.json",
      beside: "--tasks written --data @/data/mine/test.jsonl",
    },
    "--source-column": { args: "--source-column hint", beside: mine },
    "--target-column": { args: "--target-column hint", beside: mine },
    "--template": { args: '--template "{hint}: {source}"', beside: mine },
    "--labels": { args: '--labels "good,bad,good and bad,bad or good"', beside: mine },
    "--metric": { args: "--metric bleu", beside: mine },
    "--tune": { elsewhere: "cli/resume.test.ts" },
    "--no-tune": { elsewhere: "cli/flags.test.ts" },
    ...searchTrials(scoring("adapted"), scoring),
  },
};

const beams = "--beams 3 --scores";
const answering = (model: string) =>
  `"word 3 is near the museum" --model @/${model} --max-length 8 --json`;

/** `deno task generate`, of a model whose adapters are drawn at random. */
export const generation: Trials = {
  command: () => generateCommand(countedDevice),
  base: answering("adapted"),
  trials: {
    ...searchTrials(answering("adapted"), answering),
    "--beam-rule": { args: "--beam-rule reference", beside: "--beams 3" },
    "--run": { args: "--run @/run", base: '"word 3"' },
    "--which": { args: "--which latest", base: '"word 3" --run @/run' },
    "--backbone": { args: "--backbone @/other", base: '"word 3" --run @/run', seen: "refusal" },
    "--model": { args: "--model @/adapted", base: '"word 3"' },
    "--tokenizer": { args: "--tokenizer @/tokenizer" },
    "--tokenizer-rule": { args: "--tokenizer-rule transformers", seen: "refusal" },
    "--task": { args: "--task rte", base: '"word 3" --model @/by-task' },
    "--outputs": { args: "--outputs 2", beside: beams },
    "--beams": { args: "--beams 3", beside: "--scores" },
    "--weight-storage": { args: "--weight-storage f16", seen: "work" },
    "--batch-size": { elsewhere: "cli/generate.test.ts" }, // of lines on the standard input
    "--scores": { args: "--scores", base: '"word 3" --model @/adapted' },
    "--json": { args: "--json", base: '"word 3" --model @/adapted' },
    "--tune": { elsewhere: "cli/resume.test.ts" },
    "--no-tune": { elsewhere: "cli/flags.test.ts" },
  },
};

const adapters = '--adapters-of "word 3" "word 4 is another" --task rte';

/** `deno task export`, of a model whose adapters are drawn at random. */
export const exporting: Trials = {
  command: () => exportCommand(countedDevice),
  base: "--checkpoint @/adapted --out @/out",
  trials: {
    "--out": { args: "--out @/out/inside" },
    "--run": { args: "--run @/run", base: "--out @/out" },
    "--which": { args: "--which latest", base: "--out @/out --run @/run" },
    "--checkpoint": { args: "--checkpoint @/adapted", base: "--out @/out" },
    "--backbone": { args: "--backbone @/other", base: "--out @/out --run @/run", seen: "refusal" },
    "--tokenizer": { args: "--tokenizer @/tokenizer" },
    "--tokenizer-rule": { args: "--tokenizer-rule transformers", seen: "refusal" },
    "--dtype": { args: "--dtype f16" },
    "--adapters-of": { args: '--adapters-of "word 3"' },
    "--task": {
      args: "--task rte",
      base: '--checkpoint @/by-task --out @/out --adapters-of "word 3"',
    },
    "--mean": { args: "--mean", beside: adapters },
    "--static": { args: "--static", beside: '--adapters-of "word 3"' },
    "--max-source-length": { args: "--max-source-length 2", beside: adapters },
    "--force": { args: "--force", base: "--checkpoint @/adapted --out @/full" },
    "--json": { args: "--json" },
  },
};
