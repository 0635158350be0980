/**
 * A whole training run: updates, metrics, evaluations and checkpoints, until it is done or told to stop.
 *
 * When something happens depends on the step alone, never on when the process was started: a run that
 * was killed and resumed writes the same metrics and the same checkpoints as one that was not.
 */

import { type ModelConfig, needsTasks } from "../../models/config.ts";
import { isTrainable } from "../../models/inventory.ts";
import { TrainingBatches } from "../data/batch.ts";
import { Mixture } from "../data/mixture.ts";
import type { Dataset, Split } from "../data/types.ts";
import { bySubtask } from "../data/units.ts";
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Parameters } from "../graph/parameters.ts";
import { checkBackbone, parseReference } from "./backbone.ts";
import { loadCheckpoint, saveCheckpoint, type Which } from "./checkpoint.ts";
import {
  type Answering,
  createAnswering,
  evaluate,
  type Evaluation,
  type EvaluationOptions,
} from "./evaluate.ts";
import { modelFile, type ModelFiles } from "./model-files.ts";
import { waysOf } from "./model-generation.ts";
import type { MetricsLine, RunDirectory } from "./run-directory.ts";
import type { Settings } from "./settings.ts";
import { readSnapshot, snapshotFiles } from "./snapshot.ts";
import { Trainer } from "./trainer.ts";
import { type LoadProgress, placeWeights, type Weights } from "./weights.ts";

/** What a run is made of. */
export interface RunParts {
  readonly gpu: Gpu;
  readonly settings: Settings;
  readonly config: ModelConfig;
  /** The model that training begins from, and its weights. */
  readonly base: ModelFiles;
  readonly weights: Weights;
  /** With training examples where trained, with those of the splits that are scored where scored. */
  readonly datasets: readonly Dataset[];
  readonly directory: RunDirectory;
}

/** Who watches a run. */
export interface RunWatcher {
  /** Called with lines of metrics after they were written. */
  onMetrics?(lines: readonly MetricsLine[]): void;
  /** Stops the run at the next step, which is then saved. */
  readonly signal?: AbortSignal;
}

/** What a checkpoint keeps besides tensors. */
interface RunState {
  /** The best average on the validation split so far, and the step it was reached at. */
  readonly best?: { readonly average: number; readonly step: number } | undefined;
  /** Step of the last evaluation. */
  readonly evaluated: number;
}

/** See the module's header. */
export class Run {
  readonly trainer: Trainer;
  readonly #model: Answering;
  #state: RunState = { evaluated: 0 };
  #saved = 0;

  private constructor(
    readonly parts: RunParts,
    parameters: Parameters,
    batches: TrainingBatches | undefined,
  ) {
    const { settings, config, base } = parts;
    const { evalBatchSize, maxSourceLength, maxTargetLength, beamRule } = settings;
    this.trainer = new Trainer(config, parameters, settings, (index) => batches!.batch(index));
    const limits = { batchSize: evalBatchSize, maxSourceLength, maxTargetLength };
    const ways = waysOf(base, {}, beamRule);
    this.#model = createAnswering(config, parameters, base.tokenizer, limits, ways);
  }

  /**
   * Puts the model on the device, at its beginning.
   *
   * @param onProgress is told how far that has come
   * @throws {UserError} if a task has nothing to train on, or a file of the model cannot be read
   */
  static async create(
    parts: RunParts,
    onProgress?: (progress: LoadProgress) => void,
  ): Promise<Run> {
    const { gpu, settings, config, base, datasets } = parts;
    const { seed, temperature, train, tasks, steps, randomWeights, weightStorage } = settings;
    const weights: Weights = randomWeights ? new Map() : parts.weights;
    const trained = datasets.filter(({ task }) => tasks.includes(task.name))
      .flatMap((dataset) => bySubtask(dataset, "train"));
    checkTasks(config, datasets);
    const batches = steps === 0 ? undefined : new TrainingBatches(
      new Mixture(trained, { seed, temperature }),
      base.tokenizer,
      settings,
    );
    const trainable = (name: string) => isTrainable(train, name);
    const parameters = await placeWeights(gpu, config, weights, {
      trainable,
      seed,
      storage: weightStorage,
      onProgress,
    });
    const needsBackbone = parameters.trainable.length < parameters.descriptions.length;
    // Now, not at the first save: the files may have changed by then.
    if (needsBackbone && !randomWeights) await base.reference();
    return new Run(parts, parameters, batches);
  }

  /** The best evaluation so far. */
  get best(): RunState["best"] {
    return this.#state.best;
  }

  /**
   * Goes back to a checkpoint of the directory: to the latest, to go on; to the best, to use it.
   *
   * @throws {UserError} if it is damaged, or was trained on another backbone
   */
  async restore(which: Which): Promise<void> {
    const { base, directory: { store: { checkpoints } } } = this.parts;
    const { step, files, state } = await loadCheckpoint(checkpoints, which);
    const { location } = checkpoints;
    const backbone = files[modelFile.backbone];
    if (backbone) {
      const expected = parseReference(await backbone.read(0, backbone.size), backbone.name);
      checkBackbone(expected, await base.reference(), location);
    }
    this.trainer.restore(await readSnapshot(files, step, this.trainer, location));
    this.#state = state as RunState;
    this.#saved = step;
  }

  /**
   * Trains to the last step or until the signal, and saves either way.
   *
   * @throws {UserError} when training diverges; the last checkpoint then is one from before
   */
  async train(watcher: RunWatcher = {}): Promise<void> {
    const { trainer, parts: { settings: { steps, saveEvery } } } = this;
    while (true) {
      const isBest = await this.#validate(watcher);
      const isOver = trainer.step === steps || watcher.signal?.aborted;
      if (isBest || isOver || isMultiple(trainer.step, saveEvery)) await this.#save(isBest);
      if (isOver) return;
      await this.#log(await trainer.advance(this.#nextStop(), watcher.signal), watcher);
    }
  }

  /** Scores the model as it is now, on as many examples of a task as the settings say. */
  async evaluate(
    options: Omit<EvaluationOptions, "limit"> & { split: "validation" | "test" },
  ): Promise<Evaluation | undefined> {
    const { evalLimit, testLimit, maxAnswerLength, beams } = this.parts.settings;
    const limit = options.split === "test" ? testLimit : evalLimit;
    const scored = this.scored(options.split);
    return await evaluate(this.#model, scored, { ...options, limit, maxAnswerLength, beams });
  }

  /** The data sets that are scored on a split. */
  scored(split: Split): readonly Dataset[] {
    const { datasets, settings: { evalTasks } } = this.parts;
    return datasets.filter(({ task }) => evalTasks.includes(task.name))
      .flatMap((dataset) => bySubtask(dataset, split));
  }

  /** Evaluates if this step is due and has not been: a stopped run may have been saved before that. */
  async #validate(watcher: RunWatcher): Promise<boolean> {
    const { trainer: { step }, parts: { settings } } = this;
    const { best, evaluated } = this.#state;
    const isDue = settings.evalEvery > 0 &&
      (isMultiple(step, settings.evalEvery) || step === settings.steps);
    if (!isDue || step === evaluated || watcher.signal?.aborted) return false;
    const result = await this.evaluate({
      split: "validation",
      ...(watcher.signal && { signal: watcher.signal }),
    });
    if (result === undefined) return false;

    const { average, tasks } = result;
    const evaluation = Object.fromEntries(tasks.map(({ task, scores }) => [task.name, scores]));
    await this.#log([{ step, evaluation, average }], watcher);
    const isBest = best === undefined || average > best.average;
    this.#state = { evaluated: step, best: isBest ? { average, step } : best };
    return isBest;
  }

  async #save(best: boolean): Promise<void> {
    const { trainer, parts: { settings, config, base, directory } } = this;
    if (trainer.step === this.#saved && !best) return;
    const snapshot = await trainer.snapshot();
    const frozen = settings.randomWeights ? await this.#readFrozen() : undefined;
    const files = await snapshotFiles(snapshot, config, base, trainer, frozen);
    const checkpoint = { step: snapshot.step, files, state: this.#state };
    await saveCheckpoint(directory.store.checkpoints, checkpoint, { best });
    this.#saved = snapshot.step;
  }

  async #readFrozen(): Promise<Map<string, Float32Array>> {
    const { parameters } = this.trainer;
    const frozen = parameters.descriptions.filter(({ trainable }) => !trainable);
    return await parameters.read(frozen.map(({ name }) => name));
  }

  async #log(lines: readonly MetricsLine[], { onMetrics }: RunWatcher): Promise<void> {
    await this.parts.directory.log(lines);
    onMetrics?.(lines);
  }

  /** The next step at which something is to be done. */
  #nextStop(): number {
    const { trainer: { step }, parts: { settings } } = this;
    const { steps, logEvery, evalEvery, saveEvery } = settings;
    const periods = [logEvery, evalEvery, saveEvery].filter((period) => period > 0);
    return Math.min(steps, ...periods.map((every) => (Math.floor(step / every) + 1) * every));
  }
}

/** Checks before training what would else be found at the end: that every example has its adapter. */
function checkTasks(config: ModelConfig, datasets: readonly Dataset[]): void {
  if (!needsTasks(config)) return;
  for (const { task, splits } of datasets) {
    for (const [split, examples] of Object.entries(splits)) {
      const unknown = examples.find((example) => !config.tasks.includes(example.task));
      if (unknown === undefined) continue;
      throw new UserError(
        `the ${split} split of ${task.name} has examples of ${unknown.task}, for which the model has no ` +
          `adapter (it has them for ${
            config.tasks.join(", ")
          }): score other tasks with --eval-tasks, ` +
          `or other splits with --final-splits`,
      );
    }
  }
}

function isMultiple(step: number, period: number): boolean {
  return step > 0 && period > 0 && step % period === 0;
}
