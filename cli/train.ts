/** `deno task train`: trains a Hyperdecoder, or goes on with a run. */

import { Command } from "commander";
import { TrainingBatches } from "../src/data/batch.ts";
import { Mixture } from "../src/data/mixture.ts";
import { loadDatasets } from "../src/data/tasks.ts";
import type { Dataset } from "../src/data/types.ts";
import { UserError } from "../src/errors.ts";
import { GreedyDecoder } from "../src/generate/greedy.ts";
import { acquireGpu, announce } from "../src/platform/adapter.ts";
import { hasCheckpoint } from "../src/train/checkpoint.ts";
import { evaluate, type Evaluation, majorityBaseline } from "../src/train/evaluate.ts";
import { Run } from "../src/train/run.ts";
import type { MetricsLine } from "../src/train/run-directory.ts";
import { type Options, resolveSettings, type Settings } from "../src/train/settings.ts";
import { Trainer } from "../src/train/trainer.ts";
import { matchWeights, placeWeights } from "../src/train/weights.ts";
import { isAdapterParameter } from "../models/inventory.ts";
