/** What a command says while a model is put on the device, if that takes long enough to be noticed. */

import type { LoadProgress } from "../../src/train/weights.ts";
import { createDisplay, type Display, type DisplayOptions } from "./progress.ts";

/** Milliseconds after which the time is told, and after which a bar is shown. */
const NOTICED = 1000, LONG = 5000;

/**
 * Loads a model, with a bar on stderr if that takes long, and a line that tells how long it took.
 *
 * @param load is given what to call with its progress
 * @param options where lines go, and the clock
 */
export async function showLoading<T>(
  load: (onProgress: (progress: LoadProgress) => void) => Promise<T>,
  options: Pick<DisplayOptions, "print" | "now"> = {},
): Promise<T> {
  const { print = console.error, now = () => performance.now() } = options;
  const start = now();
  const elapsed = () => now() - start;
  let last: LoadProgress | undefined;
  let display: Display | undefined;
  let loaded: T;
  try {
    loaded = await load((progress) => {
      last = progress;
      if (elapsed() < LONG) return;
      display ??= createDisplay({
        ...options,
        name: "loading",
        total: millions(progress.total),
      });
      display.update(millions(progress.done), "M parameters");
    });
  } finally {
    display?.stop();
  }
  if (last && elapsed() >= NOTICED) {
    const size = `${millions(last.total)} M parameters (${(last.bytes / 1e9).toFixed(2)} GB)`;
    print(`Loaded ${size} in ${(elapsed() / 1000).toFixed(1)} s`);
  }
  return loaded;
}

const millions = (count: number): number => Math.round(count / 1e6);
