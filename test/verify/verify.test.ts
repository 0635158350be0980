import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { fromInt32, readSafetensors, toInt32, writeSafetensors } from "../../src/io/safetensors.ts";
import { type Report, verifyDirectory } from "../../src/verify/verify.ts";
import { testDevice } from "../graph/device.ts";
import { type Change, golden, json, removed, tensor, without } from "./fixture.ts";

const test = suite("verification");

const FORWARD = ["encoder last hidden state", "decoder last hidden state", "logits", "losses"];
const GRADIENTS = ["gradients", "gradient statistics", "parameters without gradient"];
const PREDICTION = [
  "trainer's prediction step: token ids",
  "trainer's prediction step: gen_probs",
];
const GREEDY = ["greedy", "greedy_min_length_2"].map((name) => `${name}: token ids`);
const BEAMS = ["beam4", "beam4_all4", "beam4_lp0.6_early_minlen5"];
const GENERATION = [...GREEDY, ...BEAMS.flatMap(searched), ...PREDICTION];
const POOLED = "pooled encoder output";
const TRAINING = trajectory("training");

/** What is compared of a beam search. */
function searched(name: string): string[] {
  return [`${name}: token ids`, `${name}: scores`];
}

/** What is compared of a stack whose adapters a hypernetwork makes. */
function generated(side: string): string[] {
  return [`${side} hypernetwork input`, `${side} generated parameters`];
}

function trajectory(title: string): string[] {
  return ["loss", "learning rate", "gradient norm"].map((figure) => `${title}: ${figure} per step`)
    .concat(`${title}: final parameters`);
}

/** What each shipped case must have had compared: no quantity may silently fall away. */
const CASES: Record<string, string[]> = {
  "01_none_none": [...FORWARD, "encoder hidden states", ...GRADIENTS, ...GENERATION],
  "02_manual_manual": [...FORWARD, ...GRADIENTS, ...GENERATION, ...TRAINING],
  "03_manual_generated": [
    ...FORWARD,
    ...generated("decoder"),
    `decoder ${POOLED}`,
    "encoder hidden states",
    "decoder hidden states",
    ...GRADIENTS,
    ...GENERATION,
    ...TRAINING,
    ...trajectory("accumulation"),
  ],
  "06_generated_generated": [
    ...FORWARD,
    "encoder last hidden state, first pass",
    ...["encoder", "decoder"].flatMap((side) => [...generated(side), `${side} ${POOLED}`]),
    ...GRADIENTS,
    ...GENERATION,
    ...TRAINING,
  ],
  "07_task_task": [
    ...FORWARD,
    ...generated("encoder"),
    ...generated("decoder"),
    "one task for all rows: encoder last hidden state",
    "one task for all rows: logits",
    ...GRADIENTS,
    ...GENERATION,
    ...TRAINING,
  ],
  "08_manual_specific_manual_specific": [
    ...FORWARD,
    ...GRADIENTS,
    ...GREEDY,
    ...BEAMS.flatMap((name) =>
      searched(`${name} (beam_with_tasks_repeated_per_beam_not_original)`)
    ),
    ...PREDICTION,
    ...TRAINING,
  ],
  "10_none_none_full_finetune": TRAINING,
  "11_manual_none": [...FORWARD, ...GRADIENTS, ...GENERATION, ...TRAINING],
};

async function verify(name: string, changes: Record<string, Change> = {}): Promise<Report> {
  return await verifyDirectory(await testDevice(), golden(name, changes));
}

function withVerdict({ checks }: Report, verdict: string): string[] {
  return checks.filter((check) => check.verdict === verdict).map(({ quantity }) => quantity);
}

for (const [name, quantities] of Object.entries(CASES)) {
  test(`${name} passes`, async () => {
    const report = await verify(name);
    assert.equal(withVerdict(report, "miss"), []);
    assert.ok(report.passed);
    const passed = withVerdict(report, "pass");
    assert.equal(quantities.filter((quantity) => !passed.includes(quantity)), []);
  });
}

/** A small case without what the test at hand does not look at. */
const quick: Record<string, Change> = {
  "train.json": removed,
  "generate.json": removed,
  "grad_stats.json": removed,
};

test("a changed weight is a miss", async () => {
  const changed = tensor(
    "encoder.block.1.layer.1.adapter_layer.adapter_up_manual.weight",
    (values) => values[17] += 0.1,
  );
  const report = await verify("11_manual_none", { ...quick, "model.safetensors": changed });
  assert.not(report.passed);
  for (const quantity of ["encoder last hidden state", "logits", "losses", "gradients"]) {
    assert.ok(withVerdict(report, "miss").includes(quantity), quantity);
  }
});

test("a changed gradient is a miss that names the element", async () => {
  const name = "encoder.block.0.layer.1.adapter_layer.adapter_down_manual.weight"; // [8, 32]
  const changed = tensor(name, (values) => values[35] *= 1.01);
  const report = await verify("11_manual_none", { ...quick, "grads.safetensors": changed });
  assert.not(report.passed);
  assert.equal(withVerdict(report, "miss"), ["gradients"]);
  const check = report.checks.find(({ quantity }) => quantity === "gradients")!;
  assert.is(check.worstAt, `${name}[1, 3]`);
  assert.is(check.notes.length, 1);
});

test("a gradient that the reference has and this build has not is a miss, and the other way round", async () => {
  const changed = json((meta) => meta.params_without_gradient = ["lm_head.weight"]);
  const report = await verify("11_manual_none", { ...quick, "meta.json": changed });
  assert.equal(withVerdict(report, "miss"), ["parameters without gradient"]);
});

test("a changed token and a changed score are misses", async () => {
  const changed = json((generation) => {
    generation.greedy[1][2] ^= 1;
    generation.beam4.sequences_scores[2] += 1e-3;
    generation.beam4_all4.sequences[5][3] ^= 1;
    generation.trainer_prediction_step.gen_probs[0] += 1e-3;
  });
  const report = await verify("11_manual_none", { ...quick, "generate.json": changed });
  assert.equal(withVerdict(report, "miss"), [
    "greedy: token ids",
    "beam4: scores",
    "beam4_all4: token ids",
    "trainer's prediction step: gen_probs",
  ]);
});

test("changed steps and final parameters are misses", async () => {
  const report = await verify("11_manual_none", {
    "io.safetensors": removed,
    "train.json": json((training) => {
      training.loss[9] *= 1 + 1e-4;
      training.lr[4] += 1e-9;
    }),
    "train.safetensors": tensor(
      "final.encoder.block.0.layer.1.adapter_layer.adapter_up_manual.bias",
      (values) => values[0] += 1e-5,
    ),
  });
  assert.equal(withVerdict(report, "miss"), [
    "training: loss per step",
    "training: learning rate per step",
    "training: final parameters",
  ]);
});

test("statistics stand in for final parameters that are not stored", async () => {
  const name = "encoder.block.0.layer.1.adapter_layer.adapter_up_manual.bias";
  let statistics: Record<string, unknown> = {};
  const stored = tensor(`final.${name}`, (values) => {
    statistics = {
      l2: Math.hypot(...values),
      absmax: Math.max(...values.map(Math.abs)),
      sample_flat_indices: [0, 31],
      sample_values: [values[0], values[31]],
    };
  });
  const training = golden("11_manual_none");
  stored(await training.read("train.safetensors"));
  const verdicts = [];
  for (const error of [0, 1e-5]) {
    const final_stats = { [name]: { ...statistics, l2: statistics.l2 as number + error } };
    const report = await verify("11_manual_none", {
      "io.safetensors": removed,
      "train.json": json((record) => record.final_stats = final_stats),
      "train.safetensors": without(`final.${name}`),
    });
    verdicts.push(withVerdict(report, "miss"));
  }
  assert.equal(verdicts, [[], ["training: final parameters"]]);
});

test("what is not a number matches no number", async () => {
  const changed = tensor("logits", (values) => values[5] = NaN);
  const report = await verify("11_manual_none", { ...quick, "io.safetensors": changed });
  assert.equal(withVerdict(report, "miss"), ["logits"]);
});

test("what this build cannot do is listed as not checked", async () => {
  const report = await verify("11_manual_none", {
    ...quick,
    "generate.json": json((generation) => {
      for (const name of BEAMS) delete generation[name];
      generation.beam4_error = "RuntimeError: sizes";
      generation.contrastive = generation.greedy;
    }),
    "io.safetensors": (bytes) => {
      const tensors = readSafetensors(bytes, "io");
      return writeSafetensors(tensors.set("eval_uniform.logits", tensors.get("logits")!));
    },
  });
  assert.ok(report.passed);
  assert.equal(withVerdict(report, "not checked"), [
    "eval_uniform.logits",
    "beam4_error",
    "contrastive",
  ]);
});

test("a directory that cannot be checked has not passed", async () => {
  const empty = await verify("11_manual_none", { ...quick, "io.safetensors": removed });
  assert.not(empty.passed);
  assert.match(empty.obstacle!, /no result that this build could compare/);

  const random = await verify("11_manual_none", {
    "io.safetensors": removed,
    "train.json": json((training) => training.dropout = 0.1),
  });
  assert.not(random.passed);
  assert.equal(withVerdict(random, "not checked"), ["training"]);
});

const unsound: Record<string, [changes: Record<string, Change>, message: RegExp]> = {
  "adapters depend on tasks that config.json does not name": [
    { "config.json": json((config) => config.encoder_adapter = "task") },
    /config\.json: its adapters depend on the task, but "tasks" names none/,
  ],
  "a weight is missing": [
    {
      "model.safetensors": without("encoder.block.0.layer.1.adapter_layer.adapter_up_manual.bias"),
    },
    /tensor "encoder\.block\.0.*adapter_up_manual\.bias" \[32\] .* is in none of/,
  ],
  "a weight has another shape": [
    { "config.json": json((config) => config.encoder_adapter_dim = 9) },
    /model\.safetensors has floats \[8, 32\] where .* "encoder.*" \[9, 32\]/,
  ],
  "an id is outside the vocabulary": [
    {
      "io.safetensors": (bytes) => {
        const tensors = readSafetensors(bytes, "io");
        const { shape } = tensors.get("input_ids")!;
        const ids = toInt32(tensors.get("input_ids")!, "input_ids").slice();
        ids[0] = 128;
        return writeSafetensors(tensors.set("input_ids", fromInt32(ids, shape)));
      },
    },
    /"input_ids" holds the id 128, but the vocabulary has 128/,
  ],
  "a file is truncated": [
    { "grads.safetensors": (bytes) => bytes.subarray(0, bytes.length - 4) },
    /grads\.safetensors/,
  ],
  "a JSON file is broken": [
    { "meta.json": (bytes) => bytes.subarray(0, 100) },
    /11_manual_none\/meta\.json is not valid JSON/,
  ],
  "a field is missing": [
    { "train.json": json((training) => delete training.warmup_steps) },
    /train\.json: the field "warmup_steps" is missing/,
  ],
  "a list is too short": [
    { "train.json": json((training) => training.loss.pop()) },
    /"loss" must have 10 numbers, not 9/,
  ],
};

for (const [problem, [changes, message]] of Object.entries(unsound)) {
  test(`is the user's error: ${problem}`, async () => {
    try {
      await verify("11_manual_none", { ...changes });
    } catch (error) {
      assert.instance(error, UserError);
      assert.match((error as Error).message, message);
      return;
    }
    assert.unreachable("it was accepted");
  });
}

test.run();
