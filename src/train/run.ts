/**
 * A whole training run: updates, metrics, evaluations and checkpoints, until it is done or told to stop.
 *
 * When something happens depends on the step alone, never on when the process was started: a run that
 * was killed and resumed writes the same metrics and the same checkpoints as one that was not.
 */

import type { ModelConfig } from "../../models/config.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { averageScore, type TaskResult } from "./evaluate.ts";
import type { ModelFiles } from "./model-files.ts";
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
  evaluate(signal?: AbortSignal): Promise<TaskResult[] | undefined>;
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
  readonly best?: { readonly average: number; readonly step: number };
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

  /** Goes back to the last checkpoint of the directory. @throws {UserError} if it is damaged */
  async resume(): Promise<void> {
    const { trainer, directory } = this.parts;
    const { checkpoints } = directory.store;
    const { step, files, state } = await loadCheckpoint(checkpoints);
    trainer.restore(readSnapshot(files, step, trainer.parameters, checkpoints.location));
    this.#state = state as RunState;
    this.#saved = step;
    await directory.trim(step);
  }

  /** Trains to the last step, or until the signal; either way ends with a checkpoint. */
  async train(watcher: RunWatcher = {}): Promise<void> {
    const { trainer, settings } = this.parts;
    const { signal } = watcher;
    const { steps, evalEvery, saveEvery } = settings;
    while (true) {
      const { step } = trainer;
      const isLast = step === steps;
      if (evalEvery > 0 && step > this.#state.evaluated && isDue(step, evalEvery, isLast)) {
        await this.#evaluate(watcher);
      } else if (isLast || signal?.aborted) {
        break;
      } else if (isDue(step, saveEvery, false)) {
        await this.#save();
      }
      if (signal?.aborted) break;
      await this.#log(watcher, await trainer.advance(this.#nextStop(trainer.step), signal));
    }
    await this.#save();
  }
}
