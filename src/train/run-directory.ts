/**
 * The directory of a run: `config.json` with all settings, `metrics.jsonl` and `checkpoints/`.
 *
 * The checkpoint's manifest is what counts. Lines of metrics are written before the checkpoint of their
 * step is committed; at a resume those after it are taken away again, since these steps are made anew.
 */

import { UserError } from "../errors.ts";
import { jsonFile } from "../io/json.ts";
import type { CheckpointStore } from "./checkpoint.ts";
import type { Settings } from "./settings.ts";
import type { UpdateReport } from "./trainer.ts";

/** Where a run is kept. */
export interface RunStore {
  /** Its path or name, for messages. */
  readonly location: string;
  read(file: string): Promise<Uint8Array>;
  exists(file: string): Promise<boolean>;
  /** Replaces a file in one step. */
  writeAtomic(file: string, bytes: Uint8Array): Promise<void>;
  /** Adds a line to a text file. */
  append(file: string, line: string): Promise<void>;
  readonly checkpoints: CheckpointStore;
}

/** Scores of an evaluation: task → metric → percent. */
export type ScoreTable = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A line of `metrics.jsonl`: an update, an evaluation, or settings that changed when the run went on. */
export type MetricsLine = UpdateReport | Change | {
  readonly step: number;
  readonly evaluation: ScoreTable;
  /** Mean over tasks of the mean over a task's metrics. */
  readonly average: number;
};

/** With which other settings a run went on after a step. */
export interface Change {
  readonly step: number;
  readonly changes: Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>>;
}

const configFile = "config.json";
const metricsFile = "metrics.jsonl";

/** A run on disk or wherever its store is. */
export class RunDirectory {
  constructor(readonly store: RunStore) {}

  /** Begins a run. @throws {UserError} if the store has one already: it is never overwritten */
  async create(settings: Settings): Promise<void> {
    const { location } = this.store;
    for (const file of [configFile, metricsFile, "checkpoints"]) {
      if (!await this.store.exists(file)) continue;
      throw new UserError(
        `${location} already holds a run (${file}): go on with it by --resume ${location}, ` +
          `or give another --out`,
      );
    }
    await this.#write(settings);
  }

  /** Goes on with other settings, which count from then on. */
  async change(settings: Settings, change: Change): Promise<void> {
    await this.log([change]);
    await this.#write(settings);
  }

  async #write(settings: Settings): Promise<void> {
    await this.store.writeAtomic(configFile, jsonFile(settings));
  }

  /** Adds lines to the metrics. */
  async log(lines: readonly MetricsLine[]): Promise<void> {
    if (lines.length === 0) return;
    await this.store.append(metricsFile, lines.map((line) => JSON.stringify(line)).join("\n"));
  }

  /** Takes away the metrics of the steps after `step`, and what a kill left of a line. */
  async trim(step: number): Promise<void> {
    if (!await this.store.exists(metricsFile)) return;
    const text = new TextDecoder().decode(await this.store.read(metricsFile));
    const kept = text.split("\n").filter((line) => (stepOf(line) ?? Infinity) <= step);
    await this.store.writeAtomic(metricsFile, encode(kept.map((line) => `${line}\n`).join("")));
  }
}

function stepOf(line: string): number | undefined {
  try {
    return JSON.parse(line).step;
  } catch {
    return undefined; // a line cut short, or the empty rest after the last one
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
