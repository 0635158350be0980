/**
 * Which tests of a file are run: chosen by the runner, for a process (in its environment) or a page.
 */

/** How tests are chosen. */
export interface Choice {
  /** Whether tests are run, too, that a quick run leaves out. */
  readonly exhaustive: boolean;
  /** Only tests whose name contains this are run. */
  readonly only: string;
}

/** The environment variables that hold the choice. */
export const variables = {
  exhaustive: "HYPERDECODER_TEST_EXHAUSTIVE",
  only: "HYPERDECODER_TEST_ONLY",
};

export const choice: Choice = (globalThis as { testChoice?: Choice }).testChoice ?? {
  exhaustive: variable(variables.exhaustive) !== "",
  only: variable(variables.only),
};

function variable(name: string): string {
  return "Deno" in globalThis ? Deno.env.get(name) ?? "" : "";
}
