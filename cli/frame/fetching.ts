/** What a command says while something is fetched from the hub. */

import { type DownloadProgress, openHubModel } from "../../src/platform/hub.ts";
import { fetchHubFile } from "../../src/platform/hub-datasets.ts";
import { createDisplay, type Display, duration } from "./progress.ts";

/**
 * The directory of a model of the hub, with a bar on stderr while its weights are on their way.
 *
 * @param inspect looks at the directory before they are; what it throws ends the transfer
 * @throws {UserError} as `openHubModel` does
 */
export function fetchModel(
  id: string,
  inspect: (directory: string) => Promise<void>,
): Promise<string> {
  return showTransfer(id, (onProgress) => openHubModel(id, { onProgress, inspect }));
}

/**
 * The path here of a file of a data set of the hub, with a bar while it is on its way.
 *
 * @throws {UserError} as `fetchHubFile` does
 */
export function fetchData(place: string): Promise<string> {
  return showTransfer(
    place.replace(/@[0-9a-f]{40}/, ""),
    (onProgress) =>
      fetchHubFile(place, {
        onProgress: (progress) => progress.total > SHOWN && onProgress(progress),
      }),
  );
}

/** Bytes above which a file of data is worth a bar. */
const SHOWN = 5e6;

async function showTransfer<T>(
  name: string,
  fetch: (onProgress: (progress: DownloadProgress) => void) => Promise<T>,
): Promise<T> {
  let display: Display | undefined;
  let describe: ((progress: DownloadProgress) => string) | undefined;
  try {
    return await fetch((progress) => {
      const { received, total } = progress;
      display ??= createDisplay({ name, total: Math.ceil(total / 1e6) });
      describe ??= describer(progress);
      const megabytes = received === total ? Math.ceil(total / 1e6) : Math.floor(received / 1e6);
      display.update(megabytes, describe(progress));
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
