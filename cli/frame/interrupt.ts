/**
 * Ctrl-C, once to stop in good order and twice to stop now.
 *
 * A training step cannot be cut short, but what it did can be saved: the first signal only asks, and
 * whoever watches the returned `AbortSignal` stops at the next point where everything can be kept.
 */

// Windows knows no SIGTERM.
const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];

/**
 * Takes over SIGINT and SIGTERM: the first aborts the returned signal, the second exits with code 130.
 *
 * @param announce prints a line; give the progress bar's `log` where there is one
 */
export function onInterrupt(announce: (line: string) => void = console.error): AbortSignal {
  const controller = new AbortController();
  const interrupted = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
    announce("Stopping after this step and saving; once more (Ctrl-C) to stop at once.");
  };
  for (const signal of signals) Deno.addSignalListener(signal, interrupted);
  return controller.signal;
}
