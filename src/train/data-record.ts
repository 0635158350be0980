/**
 * What a run was trained and validated on, in a few digits: a run that goes on must go on with the same.
 *
 * Which examples a step sees depends on their number and order. Other data would change them without a word,
 * and scores of other validation rows do not compare with the best so far.
 */

import type { Dataset, Example } from "../data/types.ts";
import { UserError } from "../errors.ts";
import { sha256 } from "../io/digest.ts";
import { jsonFile, parseJsonObject } from "../io/json.ts";
import type { RunStore } from "./run-directory.ts";

const dataFile = "data.json";

/** Splits that a run depends on. */
const SPLITS = ["train", "validation"] as const;

/** The examples of a split. */
interface Fingerprint {
  readonly examples: number;
  /** Of the texts, in order. */
  readonly sha256: string;
}

/** By `task/split`. */
type DataRecord = Record<string, Fingerprint>;

/** Keeps what a run begins with. */
export async function recordData(store: RunStore, datasets: readonly Dataset[]): Promise<void> {
  const record = await fingerprints(datasets);
  await store.writeAtomic(dataFile, jsonFile(record));
}

/**
 * Holds what a run goes on with against what it began with, and keeps what it had not read until now.
 *
 * @throws {UserError} naming the first task whose examples are others
 */
export async function checkData(store: RunStore, datasets: readonly Dataset[]): Promise<void> {
  const before = await store.exists(dataFile)
    ? parseJsonObject(await store.read(dataFile), `${store.location}/${dataFile}`) as DataRecord
    : {};
  const now = await fingerprints(datasets);
  for (const [key, { examples, sha256 }] of Object.entries(now)) {
    const there = before[key];
    if (there === undefined || there.sha256 === sha256) continue;
    const [task, split] = key.split("/");
    const counts = there.examples === examples
      ? `${examples}, but other ones`
      : `${examples} now, ${there.examples} then`;
    throw new UserError(
      `the ${split} examples of ${task} are not those that ${store.location} was begun with (${counts}): ` +
        `put the data back as it was, or begin a new run`,
    );
  }
  await store.writeAtomic(dataFile, jsonFile({ ...before, ...now }));
}

async function fingerprints(datasets: readonly Dataset[]): Promise<DataRecord> {
  const record: DataRecord = {};
  for (const { task, splits } of datasets) {
    for (const split of SPLITS) {
      const examples = splits[split];
      if (examples === undefined) continue;
      record[`${task.name}/${split}`] = {
        examples: examples.length,
        sha256: await fingerprint(examples),
      };
    }
  }
  return record;
}

/** Examples that are hashed at once: the text of all may be too long for a string. */
const PIECE = 4096;

async function fingerprint(examples: readonly Example[]): Promise<string> {
  const hashes: string[] = [];
  for (let begin = 0; begin < examples.length; begin += PIECE) {
    const texts = examples.slice(begin, begin + PIECE)
      .map(({ task, source, target, sourceIds }) => [task, source, target, sourceIds]);
    hashes.push(await sha256(encode(JSON.stringify(texts))));
  }
  return await sha256(encode(hashes.join()));
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
