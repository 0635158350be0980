/**
 * Checks this build on a device against a fixture directory.
 *
 * Whatever a directory holds is either compared or listed as not checked, with the reason: nothing that
 * was not computed here counts as passed. A directory of which nothing could be compared has failed.
 */

import { parameterAliases } from "../../models/inventory.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Check, Comparison, outcomes, TOLERANCES } from "./comparison.ts";
import {
  type Fixture,
  type FixtureFiles,
  placeParameters,
  readFixture,
  type Stored,
} from "./fixture.ts";
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
  const fixture = await readFixture(files);
  const { stored, training } = fixture;
  const results = [
    ...stored ? await checkBatch(gpu, fixture, stored) : [],
    ...training ? await checkTraining(gpu, fixture, training) : [],
  ];
  const checks = [...checkNames(fixture), ...results];
  const report = { directory: files.location, checks };
  if (!results.some(({ verdict }) => verdict !== "not checked")) {
    const obstacle = `${files.location} holds no result that this build could compare.`;
    return { ...report, passed: false, obstacle };
  }
  return { ...report, passed: checks.every(({ verdict }) => verdict !== "miss") };
}

/** All that concerns the one batch of `io.safetensors`. */
async function checkBatch(gpu: Gpu, fixture: Fixture, stored: Stored): Promise<Check[]> {
  const parameters = placeParameters(gpu, fixture, () => false);
  try {
    return [
      ...await checkForward(gpu, fixture, parameters, stored),
      ...await checkGradients(gpu, fixture, parameters, stored),
      ...await checkGeneration(fixture, parameters, stored),
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
