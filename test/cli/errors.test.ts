import { suite } from "uvu";
import * as assert from "uvu/assert";
import { evalCommand } from "../../cli/eval.ts";
import { trainCommand } from "../../cli/train.ts";
import { fromFloat32 } from "../../src/io/safetensors.ts";
import { tinyConfig, tinyTensors, writeTinyModel } from "../train/tiny-model.ts";
import { refusal } from "./refusal.ts";

/** A scratch directory with a sound model in `model` and a small RTE in `data`. */
const test = suite<{ directory: string }>("cli/errors");

const header = "index\tsentence1\tsentence2\tlabel";

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
  await Deno.mkdir(`${context.directory}/model`);
  await writeTinyModel(`${context.directory}/model`);
  await Deno.mkdir(`${context.directory}/data/RTE`, { recursive: true });
  for (const file of ["train", "dev"]) {
    await Deno.writeTextFile(
      `${context.directory}/data/RTE/${file}.tsv`,
      `${header}\n0\tIt rains.\tIt is wet.\tentailment\n1\tIt rains.\tIt is dry.\tnot_entailment\n`,
    );
  }
});
const { log, error } = console;
test.before(() => {
  console.log = console.error = () => {}; // what commands say when they succeed
});
test.after(() => {
  Object.assign(console, { log, error });
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

const tiny = "--model @/model --out @/run --steps 4 --batch-size 2 --max-source-length 16 " +
  "--max-target-length 4 --eval-every 0 --tasks";

test("a model that is not there, or not whole", async (context) => {
  assert.match(
    await refusal(trainCommand(), "--model minature", context.directory),
    /^there is no model at .*minature \(did you mean "miniature"\?\): give a directory with .*hub id/,
  );
  await Deno.remove(`${context.directory}/model/tokenizer.json`);
  assert.match(
    await refusal(trainCommand(), `${tiny} rte --data @/data`, context.directory),
    /^@\/model has no tokenizer, neither tokenizer\.json nor spiece\.model: name .* with --tokenizer$/,
  );
  await Deno.remove(`${context.directory}/model/model.safetensors`);
  assert.match(
    await refusal(trainCommand(), `${tiny} rte --data @/data`, context.directory),
    /^@\/model is not a model: it has no weights; a model is a directory with config\.json/,
  );
});

test("weights that do not fit the configuration name the tensor", async (context) => {
  const model = `${context.directory}/model`;
  const file = "@/model/model.safetensors";
  const refuse = () => refusal(trainCommand(), `${tiny} rte --data @/data`, context.directory);
  const tensors = tinyTensors();

  await writeTinyModel(model, { ...tinyConfig, d_ff: 32 });
  assert.match(
    await refuse(),
    /^@\/model\/model\.safetensors: the tensor \S+\.wi_0\.weight is \[24, 16\], but the configuration asks for \[32, 16\]$/,
  );
  const missing = new Map(tensors);
  missing.delete("lm_head.weight");
  await writeTinyModel(model, tinyConfig, missing);
  assert.match(
    await refuse(),
    /^@\/model\/model\.safetensors: the tensor lm_head\.weight of the model is missing, since config/,
  );
  const unknown = new Map(tensors).set("lm_heat.weight", fromFloat32(new Float32Array(1), [1]));
  await writeTinyModel(model, tinyConfig, unknown);
  assert.is(
    await refuse(),
    `${file}: a model of this configuration has no tensor lm_heat.weight ` +
      `(did you mean "lm_head.weight"?)`,
  );
  await writeTinyModel(model);
  await Deno.truncate(`${model}/model.safetensors`, 5000);
  assert.match(await refuse(), /^@\/model\/model\.safetensors is not a sound safetensors file: /);
});

test("a tokenizer that does not fit the model", async (context) => {
  const fields = { ...tinyConfig, vocab_size: 2000 };
  await writeTinyModel(`${context.directory}/model`, fields, tinyTensors(fields));
  assert.match(
    await refusal(trainCommand(), `${tiny} rte --data @/data`, context.directory),
    /^The tokenizer has 2048 ids, the last of which, 2047, is that of ".*", but the model's vocabulary only 2000; /,
  );
});

test("tasks and data", async (context) => {
  const refuse = (args: string) => refusal(trainCommand(), `${tiny} ${args}`, context.directory);
  assert.match(
    await refuse("sentimant"),
    /there is no task "sentimant" \(did you mean "sentiment"\?\)/,
  );
  assert.is(
    await refuse("rte"),
    "task rte is read from files: say with --data DIR where its folder is",
  );
  assert.match(
    await refuse("rte,cola --data @/data"),
    /^Task cola needs @\/data\/CoLA\/train\.tsv/,
  );
  assert.match(
    await refuse("sentiment --data @/data"),
    /^none of the tasks sentiment is read from/,
  );

  const train = `${context.directory}/data/RTE/train.tsv`;
  await Deno.writeTextFile(train, `${header}\n0\tIt rains.\tentailment\n`);
  assert.match(
    await refuse("rte --data @/data"),
    /^@\/data\/RTE\/train\.tsv:2: expected 4 tab-separated columns .*, found 3\. --skip-bad leaves /,
  );
  await Deno.writeTextFile(train, `${header}\n0\tIt rains.\tIt is wet.\tmaybe\n`);
  assert.match(
    await refuse("rte --data @/data"),
    /^@\/data\/RTE\/train\.tsv:2: "maybe" under "label" is not a label of this task/,
  );
  assert.is([...Deno.readDirSync(context.directory)].some(({ name }) => name === "run"), false);
});

test("settings", async (context) => {
  const refuse = (args: string) => refusal(trainCommand(), args, context.directory);
  assert.is(
    await refuse("--leaning-rate 1"),
    "error: unknown option '--leaning-rate'\n(Did you mean --learning-rate?)",
  );
  assert.match(await refuse("--log-every 1000"), /it must be a whole number from 1 to 256/);
  assert.match(
    await refuse(`${tiny} rte --data @/data --encoder-adapter none --decoder-adapter none`),
    /^the model has no adapters to train: give it some with/,
  );
});

test("runs: none is overwritten, resumed as another, or loaded when damaged", async (context) => {
  const train = (args: string) => refusal(trainCommand(), args, context.directory);
  const evaluate = (args: string) => refusal(evalCommand(), args, context.directory);
  assert.match(await train("--resume @/run"), /^there is no run at @\/run/);
  await trainCommand().parseAsync(
    `${tiny} rte --data @/data`.replaceAll("@", context.directory).split(" "),
    { from: "user" },
  );

  assert.match(
    await train(`${tiny} rte --data @/data`),
    /^@\/run already holds a run \(config\.json\)/,
  );
  assert.is(
    await train("--resume @/run --batch-size 4"),
    "batchSize is 4 here, but @/run was begun with 2: leave it out to resume, or begin a new run",
  );
  assert.match(
    await train("--resume @/run --tasks sentiment"),
    /^tasks is \["sentiment"\] here, but/,
  );
  assert.match(await evaluate("--run @/run --which best"), /holds no best checkpoint yet$/);
  assert.match(
    await evaluate("--run @/run --checkpoint @/run/checkpoints/step-000004"),
    /^--checkpoint names one checkpoint: leave out --run/,
  );
  assert.match(
    await evaluate("--checkpoint @/run/checkpoints"),
    /^@\/run\/checkpoints is not a model: it has no config\.json/,
  );

  const tensors = tinyTensors();
  const changed = new Map(tensors).set(
    "encoder.final_layer_norm.weight",
    fromFloat32(new Float32Array(16).fill(2), [16]),
  );
  await writeTinyModel(`${context.directory}/model`, tinyConfig, changed);
  const another =
    /was trained on other weights than those of @\/model \(fingerprint [0-9a-f]+\): it needs/;
  assert.match(await evaluate("--run @/run"), another);
  assert.match(await evaluate("--checkpoint @/run/checkpoints/step-000004"), another);
  assert.match(await train("--resume @/run"), another);

  await writeTinyModel(`${context.directory}/model`);
  const weights = `${context.directory}/run/checkpoints/step-000004/model.safetensors`;
  await Deno.truncate(weights, 1000);
  assert.match(
    await evaluate("--run @/run"),
    /^the checkpoint is damaged: .*model\.safetensors has 1000 bytes where \d+ were saved$/,
  );
  assert.match(
    await evaluate("--checkpoint @/run/checkpoints/step-000004"),
    /model\.safetensors is not a sound safetensors file: /,
  );
  assert.match(await train("--resume @/run"), /^the checkpoint is damaged: /);
});

test("a model without trained adapters is not scored as if it had them", async (context) => {
  const fields = { ...tinyConfig, encoder_adapter: "manual", decoder_adapter: "generated" };
  await writeTinyModel(`${context.directory}/model`, fields, tinyTensors(fields));
  assert.match(
    await refusal(evalCommand(), "--checkpoint @/model", context.directory),
    /^@\/model has no tensor .*adapter.*: train its adapters first$/,
  );
});

test("nothing to answer is one sentence and exit code 2", async () => {
  const script = new URL("../../cli/generate.ts", import.meta.url).pathname;
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", script] });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  assert.equal([code, decoder.decode(stdout)], [2, ""]);
  assert.match(decoder.decode(stderr), /^error: there is no text to answer: [^\n]*\n$/);
});

test.run();
