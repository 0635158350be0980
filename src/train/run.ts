/**
 * A whole training run: updates, metrics, evaluations and checkpoints, until it is done or told to stop.
 *
 * When something happens depends on the step alone, never on when the process was started: a run that
 * was killed and resumed writes the same metrics and the same checkpoints as one that was not.
 */

import type { ModelConfig } from "../../models/config.ts";
import { loadCheckpoint, saveCheckpoint, type Which } from "./checkpoint.ts";
import type { Evaluation } from "./evaluate.ts";
import { checkBackbone, modelFile, type ModelFiles, parseReference } from "./model-files.ts";
import type { MetricsLine, RunDirectory } from "./run-directory.ts";
import type { Settings } from "./settings.ts";
import { readSnapshot, snapshotFiles } from "./snapshot.ts";
import type { Trainer } from "./trainer.ts";

/** The parts of a run. */
export interface RunParts {
  readonly settings: Settings;
  readonly config: ModelConfig;
  /** The model that training began from. */
  readonly base: ModelFiles;
  readonly trainer: Trainer;
  readonly directory: RunDirectory;
  /** Evaluates on the validation split; `undefined` when the signal stopped it. */
  evaluate(signal?: AbortSignal): Promise<Evaluation | undefined>;
}

/** Who watches a run. */
export interface RunWatcher {
  /** Called with every line of metrics, after it was written. */
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
  #state: RunState = { evaluated: 0 };
  #saved = 0;

  constructor(readonly parts: RunParts) {}

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
    const { trainer, base, directory } = this.parts;
    const { checkpoints } = directory.store;
    const { step, files, state } = await loadCheckpoint(checkpoints, which);
    const { location } = checkpoints;
    const backbone = files[modelFile.backbone];
    if (backbone) checkBackbone(parseReference(backbone, modelFile.backbone), base, location);
    trainer.restore(readSnapshot(files, step, trainer.parameters, location));
    this.#state = state as RunState;
    this.#saved = step;
  }

  /**
   * Trains to the last step or until the signal, and saves either way.
   *
   * @throws {UserError} when training diverges; the last checkpoint then is one from before
   */
  async train(watcher: RunWatcher = {}): Promise<void> {
    const { trainer, settings: { steps, saveEvery } } = this.parts;
    while (true) {
      const isBest = await this.#evaluate(watcher);
      const isOver = trainer.step === steps || watcher.signal?.aborted;
      if (isBest || isOver || isMultiple(trainer.step, saveEvery)) await this.#save(isBest);
      if (isOver) return;
      await this.#log(await trainer.advance(this.#nextStop(), watcher.signal), watcher);
    }
  }

  /** Evaluates if this step is due and has not been: a stopped run may have been saved before that. */
  async #evaluate(watcher: RunWatcher): Promise<boolean> {
    const { trainer: { step }, settings: { steps, evalEvery }, evaluate } = this.parts;
    const { best, evaluated } = this.#state;
    const isDue = evalEvery > 0 && (isMultiple(step, evalEvery) || step === steps);
    if (!isDue || step === evaluated || watcher.signal?.aborted) return false;
    const result = await evaluate(watcher.signal);
    if (result === undefined) return false;

    const { average, tasks } = result;
    const evaluation = Object.fromEntries(tasks.map(({ task, scores }) => [task.name, scores]));
    await this.#log([{ step, evaluation, average }], watcher);
    const isBest = best === undefined || average > best.average;
    this.#state = { evaluated: step, best: isBest ? { average, step } : best };
    return isBest;
  }

  async #save(best: boolean): Promise<void> {
    const { trainer, config, base, directory } = this.parts;
    if (trainer.step === this.#saved && !best) return;
    const snapshot = await trainer.snapshot();
    const files = snapshotFiles(snapshot, config, base, trainer.parameters);
    const checkpoint = { step: snapshot.step, files, state: this.#state };
    await saveCheckpoint(directory.store.checkpoints, checkpoint, { best });
    this.#saved = snapshot.step;
  }

  async #log(lines: readonly MetricsLine[], { onMetrics }: RunWatcher): Promise<void> {
    await this.parts.directory.log(lines);
    onMetrics?.(lines);
  }

  /** The next step at which something is to be done. */
  #nextStop(): number {
    const { trainer: { step }, settings: { steps, logEvery, evalEvery, saveEvery } } = this.parts;
    const periods = [logEvery, evalEvery, saveEvery].filter((period) => period > 0);
    return Math.min(steps, ...periods.map((every) => (Math.floor(step / every) + 1) * every));
  }
}

function isMultiple(step: number, period: number): boolean {
  return step > 0 && period > 0 && step % period === 0;
}
