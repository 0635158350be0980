/** What each flag of `deno task train` is seen to do, beside `base.json` of `places.ts`. */

import { trainCommand } from "../../../cli/train.ts";
import { countedDevice } from "./observe.ts";
import type { Trials } from "./trial.ts";

const scored = "--final-splits test";
const adafactor = "--optimizer adafactor";
const polynomial = "--schedule polynomial";

/** See the module's header. */
export const train: Trials = {
  command: () => trainCommand(countedDevice),
  base: "--config @/base.json --out @/out",
  trials: {
    // The model.
    "--model": { args: "--model @/other" },
    "--tokenizer": { args: "--tokenizer @/tokenizer" },
    // The tiny model has no pieces of which T5Tokenizer could be made.
    "--tokenizer-rule": { args: "--tokenizer-rule transformers", seen: "refusal" },
    "--train": { args: "--train encoder" },
    "--random-weights": { args: "--random-weights" },
    "--encoder-adapter": { args: "--encoder-adapter none" },
    "--decoder-adapter": { args: "--decoder-adapter manual" },
    "--encoder-adapter-dim": { args: "--encoder-adapter-dim 3" },
    "--decoder-adapter-dim": { args: "--decoder-adapter-dim 3" },
    "--hypernetwork-bottleneck": { args: "--hypernetwork-bottleneck 3" },
    "--adapter-norm-input": { args: "--adapter-norm-input" },
    "--process-encoder-output": {
      args: "--process-encoder-output",
      beside: "--no-process-encoder-output",
    },

    // The data.
    "--data": { args: "--data @/data-too" },
    "--tasks": { args: "--tasks yours" },
    "--eval-tasks": { args: "--eval-tasks yours", beside: scored },
    "--task-file": {
      args: "--task-file @/task.json",
      beside: "--tasks written --data @/data/mine/train.jsonl",
    },
    "--source-column": { args: "--source-column hint", beside: "--tasks mine" },
    "--target-column": { args: "--target-column hint", beside: "--tasks mine" },
    "--template": { args: '--template "{hint}: {source}"' },
    "--labels": { args: `--labels "good,bad,good and bad,bad or good"` },
    "--metric": { args: "--metric bleu", beside: scored },
    "--max-source-length": { args: "--max-source-length 4" },
    "--max-target-length": { args: "--max-target-length 1" },
    "--temperature": { args: "--temperature 1", beside: "--tasks mine,yours" },
    "--train-limit": { args: "--train-limit 2" },
    "--data-seed": { args: "--data-seed 5", beside: "--train-limit 4" },
    "--seed": { args: "--seed 5" },
    "--filter-nulls": { args: "--filter-nulls", beside: "--tasks squad" },
    "--split-validation": { args: "--split-validation", beside: "--tasks yours" },
    "--skip-bad": { args: "--skip-bad", beside: "--tasks rte" },

    // How long, and how fast.
    "--steps": { args: "--steps 2" },
    "--epochs": { args: "--epochs 1" },
    "--batch-size": { args: "--batch-size 3" },
    "--accumulate": { args: "--accumulate 2" },
    "--accumulate-mean": {
      args: "--accumulate-mean batches",
      beside: "--accumulate 2 --loss-reduction mean",
    },
    "--learning-rate": { args: "--learning-rate 0.02" },
    "--schedule": { args: "--schedule constant" },
    "--warmup-steps": { args: "--warmup-steps 2" },
    "--schedule-cycles": {
      args: "--schedule-cycles 2",
      beside: "--schedule cosine-with-restarts",
    },
    "--schedule-power": { args: "--schedule-power 2", beside: polynomial },
    "--schedule-end": { args: "--schedule-end 0.005", beside: polynomial },

    // The optimiser and the loss.
    "--optimizer": { args: "--optimizer adamw-torch" },
    "--weight-decay": { args: "--weight-decay 0.1" },
    "--adam-beta1": { args: "--adam-beta1 0.5" },
    "--adam-beta2": { args: "--adam-beta2 0.5" },
    "--adam-epsilon": { args: "--adam-epsilon 0.1" },
    "--adafactor-scale-parameter": { args: "--adafactor-scale-parameter", beside: adafactor },
    "--adafactor-relative-step": { args: "--adafactor-relative-step", beside: adafactor },
    "--adafactor-warmup-init": {
      args: "--adafactor-warmup-init",
      beside: `${adafactor} --adafactor-relative-step`,
    },
    "--adafactor-decay-rate": { args: "--adafactor-decay-rate -0.5", beside: adafactor },
    "--adafactor-clip-threshold": { args: "--adafactor-clip-threshold 0.1", beside: adafactor },
    "--adafactor-beta1": { args: "--adafactor-beta1 0.9", beside: adafactor },
    "--label-smoothing": { args: "--label-smoothing 0.5" },
    "--loss-reduction": { args: "--loss-reduction mean" },
    "--max-grad-norm": { args: "--max-grad-norm 0.001" },
    "--dropout": { args: "--dropout 0.5" },

    // Memory.
    "--recompute": { args: "--recompute", seen: "work" },
    "--max-memory": { args: "--max-memory 100MB" },
    "--weight-storage": { args: "--weight-storage f16", seen: "work" },

    // When it is scored, saved and logged.
    "--eval-every": { args: "--eval-every 1" },
    "--eval-limit": { args: "--eval-limit 1", beside: "--eval-every 3", seen: "work" },
    "--test-limit": { args: "--test-limit 1", beside: scored, seen: "work" },
    "--eval-batch-size": { args: "--eval-batch-size 1", beside: scored, seen: "work" },
    "--max-answer-length": { args: "--max-answer-length 1", beside: scored, seen: "work" },
    "--beams": { args: "--beams 2", beside: scored, seen: "work" },
    "--beam-rule": { unseen: "scores of so few answers are the same by either rule" },
    "--final-splits": { args: "--final-splits validation,test" },
    "--load-best": {
      args: "--load-best",
      beside: `${scored} --eval-every 1 --no-load-best --no-json`,
    },
    "--save-every": { args: "--save-every 1", seen: "work" },
    "--log-every": { args: "--log-every 1", seen: "work" },

    // The run.
    "--out": { args: "--out @/out/inside" },
    "--resume": { args: "--resume", beside: "--out @/run --steps 2" },
    "--continue": { args: "--continue", beside: "--out @/run --steps 2" },
    "--config": { args: "--config @/base-cosine.json" },
    "--json": { args: "--json", beside: "--no-json" },
    "--profile": { args: "--profile" },
    "--tune": { elsewhere: "cli/resume.test.ts" },
    "--no-tune": { elsewhere: "cli/flags.test.ts" },
  },
};
