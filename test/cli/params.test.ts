import { type Command, CommanderError } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { paramsCommand } from "../../cli/params.ts";
import { UserError } from "../../src/errors.ts";

/** A scratch directory. */
const test = suite<{ directory: string }>("deno task params");

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

/** What the command prints. */
async function params(...args: string[]): Promise<string> {
  const { log, error } = console;
  const printed: string[] = [];
  console.log = (line: string) => printed.push(line);
  console.error = () => {};
  try {
    const command: Command = paramsCommand();
    command.exitOverride().configureOutput({ outputError: () => {} });
    await command.parseAsync(args, { from: "user" });
  } finally {
    Object.assign(console, { log, error });
  }
  return printed.join("\n");
}

async function refusal(...args: string[]): Promise<string> {
  const error = await params(...args).then(() => undefined, (error) => error);
  if (!(error instanceof UserError || error instanceof CommanderError)) throw error ?? "accepted";
  return error.message;
}

async function file(directory: string, values: unknown): Promise<string> {
  const path = `${directory}/some.json`;
  await Deno.writeTextFile(path, JSON.stringify(values));
  return path;
}

test("with no arguments: the embedded model with its adapters", async () => {
  const table = await params();
  assert.match(table, /^miniature: manual adapters of 32 in the encoder, generated adapters of 32/);
  assert.match(table, /^embeddings +262,144 +12\.46 % +0 +0\.00 %$/m);
  assert.match(table, /^decoder adapters, unused +16,704 /m);
  assert.match(table, /^sum +2,103,188 +100\.00 % +626,580 +29\.79 %$/m);
  assert.match(
    table,
    /^Training changes 29\.79 % of the whole model, [^]* it would be 42\.43 %\.$/m,
  );
  assert.not.match(table, /paper/); // whose figure is of T5-large
});

test("the paper's GLUE configuration, as the reference has it, trains roughly 3 %", async ({ directory }) => {
  const config = await file(directory, {
    model_name_or_path: "google/t5-large-lm-adapt",
    encoder_adapter: "manual",
    decoder_adapter: "generated",
    encoder_adapter_dim: 64,
    decoder_adapter_dim: 64,
    hypernetwork_bottleneck: 128,
    process_encoder_output: true,
    freeze_model: true,
    unfreeze_encoder_adapters: true,
    unfreeze_decoder_adapters: true,
    tasks: ["rte", "sst2"],
    loss_scaling: false,
    output_dir: "output",
  });
  const { total, trainable, percent } = JSON.parse(await params("--config", config, "--json"));
  assert.equal([total, trainable], [808_774_320, 25_624_240]);
  assert.is(percent.toFixed(2), "3.17");
  const whole =
    /^Training changes 3\.17 % of the whole model, [^]*The paper counts its "roughly 3 %"/m;
  assert.match(await params("--config", config), whole);
  const none = await params("--config", config, "--no-process-encoder-output", "--json");
  assert.is(JSON.parse(none).trainable, 25_624_240 - 2 * (1024 * 1024 + 1024));
});

test("a model's config.json, with flags and parts as in training", async ({ directory }) => {
  const config = await file(directory, {
    vocab_size: 100,
    d_model: 8,
    d_kv: 4,
    d_ff: 16,
    num_layers: 1,
    num_heads: 2,
    tie_word_embeddings: true,
  });
  const table = await params(
    ..."--encoder-adapter none --decoder-adapter task --decoder-adapter-dim 2 --tasks a,b,c".split(
      " ",
    ),
    ..."--hypernetwork-bottleneck 3 --train decoder-adapters,layer-norms --config".split(" "),
    config,
  );
  assert.match(table, /^embeddings +800 .* 0 +0\.00 %$/m);
  assert.match(table, /^decoder task embeddings +24 .* 24 /m);
  assert.match(table, /^encoder +\d+ .* 24 /m); // its three norms
  assert.not.match(table, /LM head +\d/);
  assert.match(table, /embeddings are those of encoder, decoder and LM head, and counted once/);
  assert.is(
    await refusal("--config", config, "--model", "t5-base"),
    `--model t5-base and --config ${config} are two models: leave one out`,
  );
});

test("a run's settings", async ({ directory }) => {
  const config = await file(directory, {
    model: "google/flan-t5-base",
    encoderAdapter: "none",
    decoderAdapter: "manual",
    decoderAdapterDim: 10,
    train: ["decoder-adapters"],
    steps: 5,
  });
  const { trainable } = JSON.parse(await params("--config", config, "--json"));
  assert.is(trainable, 12 * (2 * 768 * 10 + 768 + 10));
});

test("what cannot be counted is one sentence", async ({ directory }) => {
  assert.match(
    await refusal("--model", "minature"),
    /^there is no config\.json at minature \(did you mean "miniature"\?\): give a directory/,
  );
  assert.match(
    await refusal("--model", "t5-base", "--decoder-adapter", "task"),
    /its adapters depend on the task, but "tasks" names none/,
  );
  assert.match(
    await refusal("--config", await file(directory, { encoderAdaptor: "none" })),
    /"encoderAdaptor" is not an option \(did you mean "encoderAdapter"\?\)$/,
  );
  assert.match(await refusal("--decoder-adapter", "manuel"), /Allowed choices are none, manual/);
});

test.run();
