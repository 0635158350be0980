/** A small command with one option of each kind, for the tests of the frame to run as users would. */

import { Command, Option } from "commander";
import { run } from "../../../cli/frame/command.ts";
import {
  fraction,
  list,
  positiveInteger,
  positiveNumber,
  withConfig,
} from "../../../cli/frame/config.ts";
import { UserError } from "../../../src/errors.ts";

const command = new Command("sample")
  .description("Print the options it was given")
  .option("--steps <count>", "optimiser steps", positiveInteger, 600)
  .option("--learning-rate <rate>", "peak learning rate", positiveNumber, 3e-4)
  .option("--dropout <share>", "share of activations dropped", fraction, 0)
  .option("--tasks <names>", "tasks, separated by commas", list)
  .option("--out <directory>", "where the run goes")
  .option("--profile", "show where time goes")
  .option("--no-save", "keep nothing")
  .addOption(new Option("--split <name>", "split").choices(["validation", "test"]))
  .addOption(new Option("--fail <how>", "how to fail").choices(["user", "defect", "rejection"]))
  .action(async (options) => {
    if (options.fail === "user") throw new UserError("no data in /nowhere: give --data DIR");
    if (options.fail === "defect") throw new TypeError("this is undefined");
    if (options.fail === "rejection") {
      Promise.reject(new TypeError("nobody awaits this"));
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    console.log(JSON.stringify(options));
  });

await run(withConfig(command));
