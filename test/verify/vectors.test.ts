import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import type { Report } from "../../src/verify/verify.ts";
import { verifyVectors } from "../../src/verify/vectors.ts";
import { testDevice } from "../graph/device.ts";
import metrics from "../fixtures/metrics.json" with { type: "json" };
import { type Change, golden, json, removed } from "./fixture.ts";

const test = suite("verification of vectors");

/** The shipped vectors, and `metrics.json` if it is given. */
async function verify(
  changes: Record<string, Change> = {},
  given?: Record<string, unknown>,
): Promise<Report> {
  const files = golden(".", changes);
  return await verifyVectors(await testDevice(), {
    location: "set",
    read: (path) =>
      path === "metrics.json"
        ? Promise.resolve(new TextEncoder().encode(JSON.stringify(given)))
        : files.read(path),
    exists: (path) =>
      path === "metrics.json" ? Promise.resolve(given !== undefined) : files.exists(path),
  });
}

function withVerdict({ checks }: Report, verdict: string): string[] {
  return checks.filter((check) => check.verdict === verdict).map(({ quantity }) => quantity);
}

test("every optimiser, schedule and function of the reference passes", async () => {
  const report = await verify();
  assert.ok(report.passed);
  assert.is(withVerdict(report, "pass").length, 5 + 7 + 4);
  assert.is(report.checks.length, 5 + 7 + 4);
});

test("metrics pass, and what this build has no counterpart of is named", async () => {
  const report = await verify({ "optim.json": removed, "units.json": removed }, {
    ...metrics,
    unheard_of: [],
  });
  assert.ok(report.passed);
  assert.ok(withVerdict(report, "not checked").includes("unheard_of"));
  for (const name of ["accuracy", "squad_evaluate", "rouge_pairs", "multitask_sampler"]) {
    assert.ok(withVerdict(report, "pass").includes(name), name);
  }
});

test("a changed parameter, learning rate, bucket and score are misses", async () => {
  const wrong = structuredClone(metrics);
  wrong.accuracy[0].acc += 1e-6;
  wrong.squad_pairs[0].normalized_prediction += "s";
  const report = await verify({
    "optim.json": json((vectors) => {
      vectors.runs[3].parameters_after_each_step[5][0][4][1] += 1e-5;
      vectors.schedules[5].lr_used_at_step[3] += 1e-11;
    }),
    "units.json": json((units) => units.relative_position_bucket[1].bucket[7]++),
  }, wrong);
  assert.not(report.passed);
  assert.equal(withVerdict(report, "miss"), [
    "Adafactor lr=0.0003, scale_parameter=false, relative_step=false: parameters",
    "cosine schedule num_warmup_steps=2, num_training_steps=9: learning rates",
    "relative_position_bucket",
    "accuracy",
    "squad_pairs",
  ]);
  const [run] = report.checks.filter(({ verdict }) => verdict === "miss");
  assert.is(run.worstAt, "step 5, tensor 0[4, 1]");
});

test("an optimiser that this build has not is not checked, and alone does not pass", async () => {
  const report = await verify({
    "units.json": removed,
    "optim.json": json((vectors) => {
      vectors.runs = [{ ...vectors.runs[0], optimizer: "SGD" }];
      vectors.schedules = [{ ...vectors.schedules[0], scheduler: "inverse_sqrt" }];
    }),
  });
  assert.not(report.passed);
  assert.match(report.obstacle!, /no vectors that this build could compare/);
  assert.is(withVerdict(report, "not checked").length, 2);
});

test("a damaged file is the user's error, named with its field", async () => {
  const problem = await verify({
    "optim.json": json((vectors) => vectors.initial = [[[1, 2], [3]]]),
  }).then(() => undefined, (error) => error);
  assert.instance(problem, UserError);
  assert.match(problem.message, /^set\/optim\.json: the field "initial" must be a list of nested/);
});

test.run();
