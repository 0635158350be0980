/**
 * How far a long run has come, on stderr: a bar in a terminal, otherwise a plain line now and then, so
 * that a log holds lines and no carriage returns.
 */

import cliProgress from "cli-progress";
import process from "node:process";

/** A display of how much of something is done. */
export interface Display {
  /** Shows that `value` of the total is done, and a remark. */
  update(value: number, status: string): void;
  /** Prints a line without disturbing the bar. */
  log(line: string): void;
  /** Leaves the last state standing. Must be called, also after an error: a bar keeps a timer. */
  stop(): void;
}

/** Settings of {@linkcode createDisplay}. */
export interface DisplayOptions {
  /** What is counted, for plain lines: "step". */
  readonly name: string;
  readonly total: number;
  /** Where the count begins. 0 by default. */
  readonly start?: number;
  /** Seconds between plain lines. 10 by default. */
  readonly interval?: number;
  /** Where plain lines go; by default a bar or lines on stderr, whichever suits it. */
  readonly print?: (line: string) => void;
  /** Milliseconds from any origin. */
  readonly now?: () => number;
}

/** Starts a display. */
export function createDisplay(options: DisplayOptions): Display {
  return options.print === undefined && Deno.stderr.isTerminal()
    ? createBar(options)
    : createLines(options);
}

/** What a run shows beside its step. */
export interface Figures {
  readonly loss: number;
  readonly tokensPerSecond: number;
}

/** A display of a run's steps. */
export interface Progress extends Omit<Display, "update"> {
  /** Shows that `step` steps are done. */
  update(step: number, figures: Figures): void;
}

/** Starts a display of a run's steps. */
export function createProgress(options: Omit<DisplayOptions, "name">): Progress {
  const { now = () => performance.now() } = options;
  const describe = describer(options.total, now);
  const display = createDisplay({ ...options, name: "step" });
  return {
    ...display,
    update: (step, figures) => display.update(step, describe(step, figures)),
  };
}

/** The part of cli-progress used here; the package has no types. */
interface Bar {
  readonly isActive: boolean;
  start(total: number, step: number, payload: { status: string }): void;
  update(step: number, payload: { status: string }): void;
  render(): void;
  stop(): void;
}

function createBar({ total, start = 0 }: DisplayOptions): Display {
  const bar: Bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: "{percentage}% {bar} {value}/{total}  {status}",
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    fps: 5,
    linewrap: true, // the terminal's own setting: turning it off would outlive a crash
    forceRedraw: true,
  });
  bar.start(total, start, { status: "" });
  return {
    update: (value, status) => bar.update(value, { status }),
    log: (line) => {
      // At its end the bar goes back to a saved place: save (ESC 7) the row it now moves to.
      process.stderr.write(`\r\x1b[K${line}\n\x1b7`);
      if (bar.isActive) bar.render();
    },
    stop: () => bar.stop(),
  };
}

function createLines(
  { name, total, interval = 10, print = console.error, now = () => performance.now() }:
    DisplayOptions,
): Display {
  let printed = -Infinity;
  let pending: string | undefined;
  const show = (line: string) => {
    print(line);
    printed = now();
    pending = undefined;
  };
  return {
    update: (value, status) => {
      pending = `${name} ${value}/${total}  ${status}`;
      if (value === total || now() - printed >= interval * 1000) show(pending);
    },
    log: print,
    stop: () => {
      if (pending !== undefined) show(pending);
    },
  };
}

/** Describes figures and the time left, at the mean pace since the first step described. */
function describer(
  total: number,
  now: () => number,
): (step: number, figures: Figures) => string {
  // The first step compiles shaders and says nothing about the pace of the others.
  let first: { step: number; time: number } | undefined;
  return (step, { loss, tokensPerSecond }) => {
    first ??= { step, time: now() };
    const parts = [
      `loss ${loss.toPrecision(4)}`,
      `${Math.round(tokensPerSecond).toLocaleString("en")} tokens/s`,
    ];
    if (step > first.step && step < total) {
      const seconds = (now() - first.time) / 1000 / (step - first.step) * (total - step);
      parts.push(`${duration(seconds)} left`);
    }
    return parts.join("  ");
  };
}

/** A length of time in its two largest units: "45s", "3m 20s", "2h 05m". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole % 3600 / 60))}m`;
}
