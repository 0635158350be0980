/**
 * The gradient of the training loss with respect to every parameter of a fixture.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { gradients } from "../graph/gradients.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Tensor } from "../graph/tensor.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fixture, Stored } from "./fixture.ts";
import { fixtureGraph } from "./forward.ts";
import { compareStatistics, compareSum } from "./statistics.ts";

const LOSS = "losses.label_smoothed_sum";

/** Computes all gradients and compares those stored whole, and the statistics of all. */
export async function checkGradients(
  gpu: Gpu,
  fixture: Fixture,
  parameters: Parameters,
  stored: Stored,
): Promise<Check[]> {
  const { meta, gradients: expectedGradients, gradientStatistics: statistics } = fixture;
  if (!expectedGradients && !statistics) return [];
  if (meta.text("gradient_of") !== LOSS) {
    return [notChecked("gradients", `they are of ${meta.text("gradient_of")}, not of ${LOSS}`)];
  }
  const computed = await computeGradients(gpu, fixture, parameters, stored);

  const whole = new Comparison("gradients", TOLERANCES.gradient);
  for (const [name, expected] of expectedGradients ?? []) {
    const actual = computed.get(name);
    if (actual) whole.tensor(name, actual, expected);
    else whole.fail(`${name} receives no gradient`);
  }
  const summaries = new Comparison("gradient statistics", TOLERANCES.gradient);
  for (const name of statistics?.names ?? []) {
    const actual = computed.get(name);
    if (!actual) {
      summaries.fail(`${name} receives no gradient`);
      continue;
    }
    compareStatistics(summaries, name, actual, statistics!.fields(name));
    compareSum(summaries, name, actual, statistics!.fields(name));
  }
  const untouched = new Comparison("parameters without gradient", TOLERANCES.exact);
  const names = fixture.inventory.map(({ name }) => name);
  untouched.names(
    names.filter((name) => !computed.has(name)),
    meta.texts("params_without_gradient"),
  );
  return outcomes([whole, summaries, untouched]);
}

async function computeGradients(
  gpu: Gpu,
  fixture: Fixture,
  parameters: Parameters,
  stored: Stored,
): Promise<Map<string, ArrayLike<number>>> {
  const { loss, inputs } = fixtureGraph(fixture, parameters, stored);
  const names = fixture.inventory.map(({ name }) => name);
  const adjoints = gradients(loss, names.map((name) => parameters.tensor(name)));
  const outputs: Record<string, Tensor> = {};
  names.forEach((name, i) => {
    const adjoint = adjoints[i];
    if (adjoint) outputs[name] = adjoint;
  });
  const program = await compile(gpu, { outputs });
  const given = Object.entries(inputs).filter(([name]) => program.inputNames.has(name));
  const results = await program.run(Object.fromEntries(given), Object.keys(outputs));
  program.destroy();
  return new Map(Object.entries(results));
}
