/** What each flag is seen to do of params, pretrain, verify and bench. */

import { benchCommand } from "../../../cli/bench.ts";
import { paramsCommand } from "../../../cli/params.ts";
import { pretrainCommand } from "../../../cli/pretrain.ts";
import { verifyCommand } from "../../../cli/verify.ts";
import { countedDevice } from "./observe.ts";
import type { Trials } from "./trial.ts";

/** `deno task params`. */
export const params: Trials = {
  command: paramsCommand,
  base: "",
  trials: {
    "--model": { args: "--model t5-small" },
    "--config": { args: "--config @/base.json" },
    "--tasks": { args: "--tasks rte", beside: "--decoder-adapter task" },
    "--train": { args: "--train all" },
    "--encoder-adapter": { args: "--encoder-adapter none" },
    "--decoder-adapter": { args: "--decoder-adapter none" },
    "--encoder-adapter-dim": { args: "--encoder-adapter-dim 3" },
    "--decoder-adapter-dim": { args: "--decoder-adapter-dim 3" },
    "--hypernetwork-bottleneck": { args: "--hypernetwork-bottleneck 3" },
    "--process-encoder-output": {
      args: "--process-encoder-output",
      beside: "--no-process-encoder-output",
    },
    "--json": { args: "--json" },
  },
};

/** `deno task pretrain`, two updates of the tiny model. */
export const pretrain: Trials = {
  command: () => pretrainCommand(countedDevice),
  base: "--model @/model --steps 2 --batch-size 2 --warmup-steps 0 --out @/out",
  trials: {
    "--model": { args: "--model @/other" },
    "--text": { args: "--text @/books", beside: "--text-share 0.9" },
    "--text-share": { args: "--text-share 0.9", beside: "--text @/books" },
    "--steps": { args: "--steps 1" },
    "--batch-size": { args: "--batch-size 3" },
    "--learning-rate": { args: "--learning-rate 0.1" },
    "--warmup-steps": { args: "--warmup-steps 1" },
    "--weight-decay": { args: "--weight-decay 0.5" },
    "--embedding-deviation": { args: "--embedding-deviation 2" },
    "--seed": { args: "--seed 2" },
    "--out": { args: "--out @/out/inside" },
    "--save-every": { args: "--save-every 1", seen: "work" },
    "--config": { args: "--config @/pretrain.json" },
  },
};

/** `deno task verify`. */
export const verify: Trials = {
  command: () => verifyCommand(countedDevice),
  base: new URL("../../fixtures/golden/01_none_none", import.meta.url).pathname,
  trials: { "--json": { args: "--json" } },
};

const minutes = "what it is about takes minutes, and beside others a download";

/** `deno task bench`, of which only loading is quick. Times are never the same, so that text proves nothing. */
export const bench: Trials = {
  command: () => benchCommand(countedDevice),
  base: "load --checkpoint 20",
  trials: {
    "--model": { unseen: minutes },
    "--checkpoint": { args: "--checkpoint 80", seen: "work" },
    "--peers": { unseen: minutes },
    "--torch": { elsewhere: "cli/bench.test.ts" },
    "--json": { args: "--json", matches: /^\{\n {2}"adapter": /m },
    "--out": { args: "--out @/out/bench.md", matches: /^\/bench\.md /m },
    "--tune": { elsewhere: "cli/resume.test.ts" },
    "--no-tune": { elsewhere: "cli/flags.test.ts" },
  },
};
