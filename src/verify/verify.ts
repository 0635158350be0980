/**
 * Checks this build on a device against a fixture directory.
 *
 * Whatever a directory holds is either compared or listed as not checked, with the reason: nothing that
 * was not computed here counts as passed. A directory of which nothing could be compared has failed.
 */

import type { Gpu } from "../gpu/device.ts";
import { type Check, Comparison, outcomes, TOLERANCES } from "./comparison.ts";
import {
  type Fixture,
  type FixtureFiles,
  placeParameters,
  readFixture,
  UnsupportedModel,
} from "./fixture.ts";
import { parameterAliases } from "../../models/inventory.ts";
import { checkForward } from "./forward.ts";
import { checkGeneration } from "./generation.ts";
import { checkGradients } from "./gradients.ts";
import { checkTraining } from "./training.ts";

/** What became of a directory. */
export interface Report {
  readonly directory: string;
  /** Every comparison was within its tolerance, and there was at least one. */
  readonly passed: boolean;
  readonly checks: readonly Check[];
  /** Why the directory could not be checked at all. */
  readonly obstacle?: string;
}

/**
 * Checks one directory and gives back all memory on the device that this took.
 *
 * @throws {UserError} if the directory is incomplete or does not hold together
 */
export async function verifyDirectory(gpu: Gpu, files: FixtureFiles): Promise<Report> {
  let fixture: Fixture;
  try {
    fixture = await readFixture(files);
  } catch (error) {
    if (!(error instanceof UnsupportedModel)) throw error;
    return { directory: files.location, passed: false, checks: [], obstacle: error.message };
  }
  const checks = [
    ...checkNames(fixture),
    ...await checkBatch(gpu, fixture),
    ...fixture.training ? await checkTraining(gpu, fixture, fixture.training) : [],
  ];
  const compared = checks.filter(({ verdict }) => verdict !== "not checked");
  const report = { directory: files.location, checks };
  if (!fixture.io && !fixture.training) {
    const obstacle = `${files.location} has neither io.safetensors nor train.json to compare with.`;
    return { ...report, passed: false, obstacle };
  }
  return { ...report, passed: compared.every(({ verdict }) => verdict === "pass") };
}

/** All that concerns the one batch of `io.safetensors`. */
async function checkBatch(gpu: Gpu, fixture: Fixture): Promise<Check[]> {
  const { io } = fixture;
  if (!io) return [];
  const parameters = placeParameters(gpu, fixture, () => false);
  try {
    return [
      ...await checkForward(gpu, fixture, parameters, io),
      ...await checkGradients(gpu, fixture, parameters, io),
      ...await checkGeneration(fixture, parameters, io),
    ];
  } finally {
    parameters.destroy();
  }
}

function checkNames({ config, inventory, meta }: Fixture): Check[] {
  if (!meta.has("state_dict_names")) return [];
  const comparison = new Comparison("parameter names", TOLERANCES.exact);
  const names = inventory.map(({ name }) => name);
  const aliases = Object.keys(parameterAliases(config));
  comparison.names([...names, ...aliases], meta.texts("state_dict_names"));
  return outcomes([comparison]);
}
