/**
 * Checks what a set of fixtures holds beside its models: optimisers and schedules, single functions,
 * metrics, formats of tasks.
 */

import type { Gpu } from "../gpu/device.ts";
import type { Check } from "./comparison.ts";
import type { FixtureFiles } from "./fixture.ts";
import { Fields, parseJson } from "./json.ts";
import { checkFormats } from "./formats.ts";
import { checkMetrics } from "./metrics.ts";
import { checkOptimizers } from "./optimizers.ts";
import { checkUnits } from "./units.ts";
import type { Report } from "./verify.ts";

/** How each file is checked. */
const files: Readonly<Record<string, (gpu: Gpu, record: Fields) => Check[] | Promise<Check[]>>> = {
  "optim.json": checkOptimizers,
  "units.json": checkUnits,
  "metrics.json": (_, record) => checkMetrics(record),
  "task_formats.json": (_, record) => checkFormats(record),
};

/** The files of a set that `verifyVectors` reads, where they are there. */
export const vectorFiles: readonly string[] = Object.keys(files);

/**
 * Checks the vector files of a set's directory.
 *
 * @throws {UserError} if one of them is damaged
 */
export async function verifyVectors(gpu: Gpu, set: FixtureFiles): Promise<Report> {
  const checks: Check[] = [];
  for (const [name, check] of Object.entries(files)) {
    if (!await set.exists(name)) continue;
    const path = `${set.location}/${name}`;
    checks.push(...await check(gpu, new Fields(path, parseJson(path, await set.read(name)))));
  }
  const report = { directory: set.location, checks };
  if (!checks.some(({ verdict }) => verdict !== "not checked")) {
    const obstacle = `${set.location} holds no vectors that this build could compare.`;
    return { ...report, passed: false, obstacle };
  }
  return { ...report, passed: checks.every(({ verdict }) => verdict !== "miss") };
}
