/** What a command says while a model is fetched from the hub. */

import { type DownloadProgress, openHubModel } from "../../src/platform/hub.ts";
import { createDisplay, type Display, duration } from "./progress.ts";

/**
 * The directory of a model of the hub, with a bar on stderr while its weights are on their way.
 *
 * @throws {UserError} as `openHubModel` does
 */
export async function fetchModel(id: string): Promise<string> {
  let display: Display | undefined;
  let describe: ((progress: DownloadProgress) => string) | undefined;
  try {
    return await openHubModel(id, {
      onProgress(progress) {
        const { received, total } = progress;
        display ??= createDisplay({ name: id, total: Math.ceil(total / 1e6) });
        describe ??= describer(progress);
        const megabytes = received === total ? Math.ceil(total / 1e6) : Math.floor(received / 1e6);
        display.update(megabytes, describe(progress));
      },
    });
  } finally {
    display?.stop();
  }
}

/** Describes the pace and the time left, both by the mean since `first`. */
export function describer(
  first: DownloadProgress,
  now: () => number = () => performance.now(),
): (progress: DownloadProgress) => string {
  const start = now();
  return ({ file, received, total }) => {
    const parts = [`MB  ${file}`];
    const pace = (received - first.received) / ((now() - start) / 1000); // bytes per second
    if (pace > 0 && pace < Infinity) {
      parts.push(`${(pace / 1e6).toFixed(1)} MB/s`);
      if (received < total) parts.push(`${duration((total - received) / pace)} left`);
    }
    return parts.join("  ");
  };
}
