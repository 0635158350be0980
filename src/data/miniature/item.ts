/** What every task family makes: a text pair with what the splits are told apart by. */
export interface Item {
  readonly source: string;
  readonly target: string;
  /** Every sentence in the source; no sentence is shared between splits. */
  readonly sentences: readonly string[];
  /** Word pairings (see `pairings` in grammar.ts); the held-out ones occur in the test split alone. */
  readonly pairings: readonly string[];
}
