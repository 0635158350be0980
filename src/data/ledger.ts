/**
 * What was read of a task's files, row by row: how many, from where, and what was left out.
 *
 * Invariant: every row of a file that is read is an example, is counted here as left out, or ends the
 * reading with an error that names it.
 */

import { UserError } from "../errors.ts";
import type { Found } from "./locate.ts";
import type { Example, Split } from "./types.ts";

/** What may be wrong with a row, in a word or two. */
export type Fault = "not JSON" | "columns" | "a field" | "empty text" | "label" | "question";

/** A row that cannot be an example. */
export class BadRow extends UserError {
  /**
   * @param place file and line, or where else it stands
   * @param reason what is wrong with it, the rest of a sentence
   */
  constructor(place: string, reason: string, readonly fault: Fault) {
    super(`${place}: ${reason}.`);
  }
}

/** Tasks whose published files have rows that cannot be read: some of QQP's are cut in two or empty. */
const PUBLISHED_BROKEN: readonly string[] = ["qqp"];

/** A row that was left out. */
export interface LeftOut {
  /** Its line, or its place in a file that has none. */
  readonly where: string;
  readonly fault: Fault;
}

/** One file as it was read for one split, or for several that share it. */
export class FileRecord {
  /** Rows, or questions, that were read. */
  rows = 0;
  /** Rows without a label (-1, or "-"), which are left out. */
  unlabelled = 0;
  /** Questions that have no answer, to which the empty text is right. */
  unanswerable = 0;
  /** What a user may not expect of how rows were read. */
  note: string | undefined;
  readonly bad: LeftOut[] = [];

  /**
   * @param path relative to `root`, the folder of data, where there is one
   * @param others files that could have been read instead
   */
  constructor(
    readonly path: string,
    readonly splits: Split[],
    readonly others: readonly string[],
    readonly skipBad: boolean,
    readonly root?: string,
  ) {}

  /** Its path with that of the folder. */
  get location(): string {
    return this.root === undefined ? this.path : `${this.root}/${this.path}`;
  }

  /** The result of `make`; undefined, and counted, where that finds a bad row and these are skipped. */
  attempt<T>(where: string | number, make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      if (!this.skipBad) {
        throw new UserError(`${error.message} --skip-bad leaves such rows out.`, { cause: error });
      }
      this.bad.push({ where: String(where), fault: error.fault });
      return undefined;
    }
  }

  /** @throws {UserError} when nothing was read */
  requireRows(): void {
    if (this.rows > 0) return;
    const [first] = this.bad;
    const why = first
      ? `: ${this.bad.length} are bad (the first: ${first.where}, ${first.fault})`
      : this.unlabelled > 0
      ? `: its ${this.unlabelled} rows have no label`
      : "";
    throw new UserError(`${this.location} has no examples${why}.`);
  }
}

/** The files of one task. */
export class Ledger {
  readonly files: FileRecord[] = [];
  readonly #read = new Map<string, { record: FileRecord; examples: Example[] }>();

  /**
   * @param task its name
   * @param skipBad whether bad rows are left out; unless told, where their publishers are known to ship some
   */
  constructor(
    readonly task: string,
    readonly skipBad: boolean = PUBLISHED_BROKEN.includes(task),
  ) {}

  /** Begins the record of a file. */
  open(
    path: string,
    split: Split,
    { root, others = [] }: { readonly root?: string; readonly others?: readonly string[] } = {},
  ): FileRecord {
    const record = new FileRecord(path, [split], others, this.skipBad, root);
    this.files.push(record);
    return record;
  }

  /** The examples of a file that is one split, read once though several splits may share it. */
  async examples(
    { source, path, others }: Found,
    split: Split,
    read: (record: FileRecord) => Promise<Example[]>,
  ): Promise<Example[]> {
    const location = `${source.root}/${path}`;
    const known = this.#read.get(location);
    if (known) {
      known.record.splits.push(split);
      return known.examples;
    }
    const record = this.open(path, split, { root: source.root, others });
    const examples = await read(record);
    this.#read.set(location, { record, examples });
    return examples;
  }
}
