import type { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isReferenceConfig, readReferenceConfig } from "../../../cli/frame/reference-config.ts";
import { trainCommand } from "../../../cli/train.ts";
import { UserError } from "../../../src/errors.ts";
import { referenceFields } from "../../../src/train/reference/fields.ts";
import { realPath, testOnRealData } from "../../real-data.ts";

const test = suite("frame/reference-config");

const configs = "reference-configs", fieldList = "reference-config-fields.md";

/** The authors' 40 configurations, by name. */
async function originals(): Promise<Map<string, Record<string, unknown>>> {
  const found = new Map();
  for (const folder of ["experiments", "glue_ablations", "mrqa_experiments", "xsum_nli"]) {
    for await (const { name } of Deno.readDir(realPath(`${configs}/${folder}`))) {
      const text = await Deno.readTextFile(realPath(`${configs}/${folder}/${name}`));
      found.set(`${folder}/${name}`, JSON.parse(text));
    }
  }
  return found;
}

const names = referenceFields.map(({ name }) => name);
const read = (values: object) => readReferenceConfig(values, "x.json");
const options = (values: object) => read(values).options;

function refused(action: () => unknown, message: string): void {
  assert.throws(
    action,
    (error: Error) => error instanceof UserError && error.message === message,
    message,
  );
}

testOnRealData(test, [configs], "all 40 original configurations are understood", async () => {
  const found = await originals();
  assert.is(found.size, 40);
  const counts: Record<string, number> = {};
  for (const [file, values] of found) {
    assert.ok(isReferenceConfig(values, file, []), file);
    for (const warning of readReferenceConfig(values, file).warnings) {
      const [, field] = warning.match(/^\S+: "(\w+)" .+\.$/)!;
      counts[field] = (counts[field] ?? 0) + 1;
    }
  }
  assert.equal(counts, {
    temperature: 40,
    save_total_limit: 8,
    adapter_dim: 5,
    do_train: 1,
    tasks: 3,
    eval_tasks: 3,
  });
});

testOnRealData(test, [configs], "what they mean passes the checks of flags", async () => {
  const file = await Deno.makeTempFile();
  const { error } = console;
  console.error = () => {};
  try {
    for (const [name, values] of await originals()) {
      await Deno.writeTextFile(file, JSON.stringify(values));
      const command: Command = trainCommand().exitOverride().action(() => {});
      await command.parseAsync(["--config", file, "--steps", "20"], { from: "user" });
      const said = command.opts();
      assert.is(said.steps, 20, name);
      assert.equal(said.tasks, options(values).tasks, name);
      assert.is(said.learningRate, values.learning_rate, name);
    }
  } finally {
    console.error = error;
    await Deno.remove(file);
  }
});

testOnRealData(test, [configs, fieldList], "every known field has a row", async () => {
  const list = await Deno.readTextFile(realPath(fieldList));
  const listed = [...list.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name);
  const values = ["dcaafd1", "mrqa", "mrqa_reg", "alphanli", "wiki_lingua", "average_metrics"];
  const used = [...(await originals()).values()].flatMap(Object.keys);
  for (const name of [...listed.filter((name) => !values.includes(name)), ...used]) {
    assert.ok(names.includes(name), name);
  }
  assert.is(new Set(names).size, names.length);
});

test("the documentation and the table agree", async () => {
  const page = new URL("../../../docs/reference-configs.md", import.meta.url);
  const text = (await Deno.readTextFile(page)).replace(/\s+/g, " ");
  const [honoured, ignored] = text.split("## Honoured ")[1].split(" ## Without effect ");
  const bullets = (isIgnored: boolean) =>
    referenceFields.filter(({ ignored }) => ignored === isIgnored)
      .map(({ name, fallback, meaning }) => {
        const standard = fallback === null ? "" : ` [\`${JSON.stringify(fallback)}\`]`;
        return `- \`${name}\`${standard}: ${meaning}.`;
      }).join(" ");
  assert.is(honoured, bullets(false));
  assert.is(ignored.trim(), bullets(true));
});

test("an unknown field is refused with the nearest", () => {
  refused(
    () => read({ learning_rat: 1, max_steps: 5 }),
    'x.json: "learning_rat" is not a field of the reference\'s configurations (did you mean "learning_rate"?)',
  );
});

test("a value of the wrong kind is refused", () => {
  const cases: [object, string][] = [
    [{ max_steps: "20" }, '"max_steps" is "20", but it must be a whole number of at least -1'],
    [{ adafactor: 1 }, '"adafactor" is 1, but it must be true or false'],
    [{ tasks: [1] }, '"tasks" is [1], but it must be a list of strings'],
    [{ learning_rate: 0 }, '"learning_rate" is 0, but it must be a number above 0'],
    [{ n_val: 0 }, '"n_val" is 0, but it must be a whole number of at least 1, or -1 for all'],
    [{ fp16: "yes" }, '"fp16" is "yes", but it must be true or false'],
  ];
  for (const [values, problem] of cases) refused(() => read(values), `x.json: ${problem}`);
  assert.throws(
    () => read({ encoder_adapter: "lora" }),
    /must be one of none, manual, manual_spec/,
  );
});

test("a file of both styles is refused, one of ours is left alone", () => {
  const ours = ["steps", "tasks", "seed", "learningRate"];
  refused(
    () => isReferenceConfig({ seed: 1, learning_rate: 1, steps: 5 }, "x.json", ours),
    'x.json mixes two styles: "learning_rate" is a field of the reference\'s configurations, ' +
      '"steps" an option of this project; use one of them',
  );
  assert.is(isReferenceConfig({ seed: 1, tasks: ["rte"] }, "x.json", ours), false);
  assert.is(isReferenceConfig({ seed: 1, batch_size: 3 }, "x.json", ours), false);
  assert.is(isReferenceConfig({ tasks: ["rte"], max_steps: 1 }, "x.json", ours), true);
});

test("what is not said is as in the reference", () => {
  const { steps, epochs, seed, learningRate, batchSize, labelSmoothing, evalEvery, saveEvery } =
    options({ do_train: true, loss_scaling: false });
  assert.equal(
    { steps, epochs, seed, learningRate, batchSize, labelSmoothing, evalEvery, saveEvery },
    {
      steps: undefined,
      epochs: 3,
      seed: 42,
      learningRate: 5e-5,
      batchSize: 8,
      labelSmoothing: 0,
      evalEvery: 0,
      saveEvery: 500,
    },
  );
  assert.equal(options({ seed: null }), options({}));
});

test("steps go before epochs, and without do_train there are none", () => {
  const lengths = (values: object) => {
    const { steps, epochs } = options({ do_train: true, ...values });
    return { steps, epochs };
  };
  assert.equal(lengths({ max_steps: 7, num_train_epochs: 2 }), { steps: 7, epochs: undefined });
  assert.equal(lengths({ max_steps: -1, num_train_epochs: 2 }), { steps: undefined, epochs: 2 });
  assert.equal(lengths({ do_train: false, max_steps: 7 }), { steps: 0, epochs: undefined });
});

test("the freezing fields become parts", () => {
  const train = (values: object) => options(values).train;
  assert.equal(train({}), ["encoder-adapters", "decoder-adapters"]);
  assert.equal(train({ unfreeze_encoder_adapters: false, unfreeze_layer_norms: true }), [
    "decoder-adapters",
    "layer-norms",
  ]);
  assert.equal(train({ unfreeze_decoder: true, freeze_model: false }), ["all"]);
});

test("an old adapter_dim is that of both stacks, unless one says its own", () => {
  const dims = (values: object) => {
    const { encoderAdapterDim, decoderAdapterDim } = options(values);
    return [encoderAdapterDim, decoderAdapterDim];
  };
  assert.equal(dims({ adapter_dim: 9 }), [9, 9]);
  assert.equal(dims({ adapter_dim: 9, decoder_adapter_dim: 3 }), [9, 3]);
  assert.equal(dims({}), [undefined, undefined]);
});

test("evaluations, and what is scored at the end", () => {
  const when = (values: object) => {
    const { evalEvery, finalSplits } = options(values);
    return { evalEvery, finalSplits };
  };
  assert.equal(when({ do_test: true }), { evalEvery: 0, finalSplits: ["test"] });
  const steps = { evaluation_strategy: "steps", logging_steps: 50 };
  assert.equal(when(steps), { evalEvery: 50, finalSplits: ["validation"] });
  assert.equal(when({ ...steps, eval_steps: 7, do_test: true, do_eval: true }), {
    evalEvery: 7,
    finalSplits: ["validation", "test"],
  });
  assert.is(when({ evaluation_strategy: "epoch" }).evalEvery, "epoch");
  assert.is(options({ save_strategy: "no" }).saveEvery, 0);
});

test("the loss is a sum with smoothing, and a mean without or with scaling", () => {
  const reduction = (values: object) => options(values).lossReduction;
  assert.is(reduction({ label_smoothing: 0.1, loss_scaling: false }), "sum");
  assert.is(reduction({ label_smoothing: 0, loss_scaling: false }), "mean");
  assert.is(reduction({ label_smoothing: 0.1 }), "mean");
  assert.match(read({ label_smoothing: 0.1 }).warnings[0], /"loss_scaling" is true, with which/);
});

test("an accumulated mean loss is the mean of the batches' means", () => {
  const { accumulate, accumulateMean } = options({ gradient_accumulation_steps: 4 });
  assert.equal([accumulate, accumulateMean], [4, "batches"]);
});

test("a tokenizer of another name is taken, that of the model's name is the model's", () => {
  assert.is(options({ tokenizer_name: "org/t5" }).tokenizer, "org/t5");
  const same = options({ model_name_or_path: "org/t5", tokenizer_name: "org/t5" });
  assert.equal([same.model, same.tokenizer], ["org/t5", undefined]);
});

test("a field without effect is named where it is set to something", () => {
  const warnings = (values: object) =>
    read({ ...values, loss_scaling: false, do_train: true }).warnings;
  assert.equal(warnings({ fp16: false, report_to: "none", save_total_limit: 1 }), []);
  assert.equal(warnings({ fp16: true, hub_token: "secret" }), [
    'x.json: "fp16" has no effect: sums are in f32.',
    'x.json: "hub_token" has no effect: nothing is uploaded.',
  ]);
});

test.run();
