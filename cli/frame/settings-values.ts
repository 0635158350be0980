/** The values that flags of a training run take, beside those of `config.ts`. */

import { InvalidArgumentError } from "commander";
import { TRAINABLE_PARTS, type TrainablePart } from "../../models/inventory.ts";
import { suggestion } from "../../src/errors.ts";
import type { Settings } from "../../src/train/settings.ts";
import { LOG_SLOTS } from "../../src/train/training-step.ts";
import { list, numeric, type Parser, wholeNumber } from "./config.ts";

/** 0 and whatever is above it. */
export const notNegative = numeric(
  "a number of at least 0",
  (value) => value >= 0 && value < Infinity,
);

/** Updates of warm-up, or a share of all. */
export const warmup = numeric(
  "a whole number of updates, or a share of them below 1",
  (value) => value >= 0 && (value < 1 || Number.isSafeInteger(value)),
);

/** Updates between readings of the log. */
export const logPeriod = numeric(
  `a whole number from 1 to ${LOG_SLOTS}`,
  (value) => Number.isSafeInteger(value) && value >= 1 && value <= LOG_SLOTS,
);

/** Bytes, as a number with a unit; in JSON also as a plain number of bytes. */
export const memorySize: Parser<number> = Object.assign((text: string): number => {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(|[KMGT]?B)$/i.exec(text) ?? [];
  if (number === undefined) {
    throw new InvalidArgumentError("it must be a size such as 6GB or 800MB");
  }
  return Math.round(Number(number) * 1000 ** "BKMGT".indexOf((unit || "B")[0].toUpperCase()));
}, { json: "number-or-text" as const });

/** Parts of a model, separated by commas. */
export const parts: Parser<TrainablePart[]> = Object.assign(
  (text: string): TrainablePart[] =>
    list(text).map((name) => {
      const part = TRAINABLE_PARTS.find((part) => part === name);
      if (part) return part;
      throw new InvalidArgumentError(
        `"${name}" is none of ${TRAINABLE_PARTS.join(", ")}${suggestion(name, TRAINABLE_PARTS)}`,
      );
    }),
  { json: "list" as const },
);

/** Updates between two events, or "epoch". */
export const period: Parser<number | "epoch"> = Object.assign(
  (text: string) => text === "epoch" ? text : wholeNumber(text),
  { json: "number-or-text" as const },
);

/** Splits that have scores, separated by commas, or none of them. */
export const splits: Parser<Settings["finalSplits"][number][]> = Object.assign(
  (text: string) =>
    text === "none" || text === "" ? [] : list(text).map((name) => {
      if (name === "validation" || name === "test") return name;
      throw new InvalidArgumentError(`"${name}" is none of validation, test, none`);
    }),
  { json: "list" as const },
);
