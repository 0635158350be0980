import { type Command, CommanderError } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportCommand } from "../../cli/export.ts";
import { UserError } from "../../src/errors.ts";
import { readSafetensors, type SafeTensor } from "../../src/io/safetensors.ts";
import { adaptedConfig, adaptedTensors } from "../train/adapted-model.ts";
import { writeTinyModel } from "../train/tiny-model.ts";

/** A scratch directory with a model of generated decoder adapters in `model`. */
const test = suite<{ directory: string }>("deno task export");

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
  await writeModel(`${context.directory}/model`, adaptedConfig("manual", "generated"));
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

async function writeModel(path: string, fields: Record<string, unknown>): Promise<void> {
  await Deno.mkdir(path);
  await writeTinyModel(path, fields, adaptedTensors(fields));
}

/** What the command prints. Arguments are one string, or several where one has spaces. */
async function exported({ directory }: { directory: string }, ...args: string[]): Promise<string> {
  const { log, error } = console;
  const printed: string[] = [];
  console.log = (line: string) => printed.push(line);
  console.error = () => {};
  try {
    const command: Command = exportCommand();
    command.exitOverride().configureOutput({ outputError: () => {} });
    const [first, ...rest] = args;
    const words = [...first.split(" "), ...rest].map((word) => word.replace("@", directory));
    await command.parseAsync(words, { from: "user" });
  } finally {
    Object.assign(console, { log, error });
  }
  return printed.join("\n").replaceAll(directory, "@");
}

async function refusal(context: { directory: string }, ...args: string[]): Promise<string> {
  const error = await exported(context, ...args).then(() => undefined, (error) => error);
  if (!(error instanceof UserError || error instanceof CommanderError)) throw error ?? "accepted";
  return error.message.replaceAll(context.directory, "@");
}

async function tensorsIn(file: string): Promise<Map<string, SafeTensor>> {
  return readSafetensors(await Deno.readFile(file), file);
}

async function names(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory), ({ name }) => name)).sort();
}

test("a model: its files, once, and only into an empty place", async (context) => {
  const { directory } = context;
  const said = await exported(context, "--checkpoint @/model --out @/out --json");
  const { out, files } = JSON.parse(said);
  assert.is(out, "@/out");
  assert.equal(Object.keys(files).sort(), [
    "config.json",
    "model.safetensors",
    "modeling_hyperdecoder.py",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  assert.equal(await names(`${directory}/out`), Object.keys(files).sort());
  const { size } = await Deno.stat(`${directory}/out/model.safetensors`);
  assert.is(size, files["model.safetensors"]);

  assert.is(
    await refusal(context, "--checkpoint @/model --out @/out --dtype bf16"),
    "@/out is there and not empty: give another directory, or --force to replace its files",
  );
  assert.match(
    await exported(context, "--checkpoint @/out --out @/out --dtype bf16 --force"),
    /^Wrote config\.json, model\.safetensors, .* \(\d+ kB\) to @\/out in \d\.\d s\.$/,
  );
  const tensors = await tensorsIn(`${directory}/out/model.safetensors`);
  assert.ok([...tensors.values()].every(({ dtype }) => dtype === "BF16"));
});

test("adapters of texts and files: one each, or their mean", async (context) => {
  const { directory } = context;
  await Deno.writeTextFile(`${directory}/texts.txt`, "One line.\n\nAnother, longer line.\n");
  const lines = ["A text.", "Another."].map((source) => JSON.stringify({ source, task: "rte" }));
  await Deno.writeTextFile(`${directory}/texts.jsonl`, lines.join("\n"));
  const inputs = ["One line.", `${directory}/texts.txt`, `${directory}/texts.jsonl`];
  const command = "--checkpoint @/model --out @/each --adapters-of";
  await exported(context, command, ...inputs);
  const instances = await names(`${directory}/each`);
  assert.equal(instances, [1, 2, 3, 4, 5].map((i) => `instance-00${i}`));
  const file = (i: number, name: string) => `${directory}/each/instance-00${i}/${name}`;
  const about = await Promise.all(
    [1, 2, 3, 4, 5].map(async (i) =>
      JSON.parse(await Deno.readTextFile(file(i, "adapter_config.json"))).instance
    ),
  );
  assert.equal(about.map(({ source }) => source), [
    "One line.",
    "One line.",
    "Another, longer line.",
    "A text.",
    "Another.",
  ]);
  assert.is(about[4].task, "rte");

  await exported(context, "--checkpoint @/model --out @/mean --mean --adapters-of", ...inputs);
  assert.equal(await names(`${directory}/mean`), ["mean"]);
  const key = (name: string) => `decoder.block.0.layer.2.adapters.${name}.adapter_up.bias`;
  const value = async (path: string, name: string) => {
    const { data } = (await tensorsIn(`${directory}/${path}/${name}/adapter.safetensors`))
      .get(key(name))!;
    return new Float32Array(data.slice().buffer)[3];
  };
  const values = await Promise.all(instances.map((name) => value("each", name)));
  assert.is(values[0], values[1]);
  assert.is.not(values[0], values[2]);
  const mean = values.reduce((sum, value) => sum + value, 0) / 5;
  assert.ok(Math.abs(await value("mean", "mean") - mean) < 1e-6);
});

test("adapters that no text decides: those of each task, or the model's own", async (context) => {
  const { directory } = context;
  await writeModel(`${directory}/task`, adaptedConfig("manual", "task"));
  await exported(context, "--checkpoint @/task --out @/tasks --adapters-of");
  assert.equal(await names(`${directory}/tasks`), ["rte", "sst2"]);
  await exported(context, "--checkpoint @/task --out @/one --adapters-of --task rte");
  assert.equal(await names(`${directory}/one`), ["rte"]);
  await writeModel(`${directory}/manual`, adaptedConfig("none", "manual"));
  await exported(context, "--checkpoint @/manual --out @/own --adapters-of");
  assert.equal(await names(`${directory}/own`), ["manual"]);
});

test("a static model has the adapters in place of the hypernetwork", async (context) => {
  const { directory } = context;
  const command = "--checkpoint @/model --out @/static --static --dtype f32 --adapters-of";
  await exported(context, command, "One text.");
  const config = JSON.parse(await Deno.readTextFile(`${directory}/static/config.json`));
  assert.equal([config.encoder_adapter, config.decoder_adapter], ["manual", "manual"]);
  assert.not("tasks" in config);
  const tensors = await tensorsIn(`${directory}/static/model.safetensors`);
  assert.not([...tensors.keys()].some((name) => /param_gen|mlp/.test(name)));
  await exported(context, "--checkpoint @/static --out @/again"); // a model like any other
  assert.equal(
    await Deno.readFile(`${directory}/again/model.safetensors`),
    await Deno.readFile(`${directory}/static/model.safetensors`),
  );
});

test("what cannot be written is one sentence, and nothing is written", async (context) => {
  const { directory } = context;
  const refuse = (args: string) => refusal(context, `--out @/out ${args}`);
  assert.match(await refusal(context, "--checkpoint @/model"), /required option '--out/);
  assert.match(
    await refuse("--checkpoint @/model --dtype f8"),
    /Allowed choices are f32, f16, bf16/,
  );
  assert.match(await refuse("--checkpoint @/model --run x"), /leave out --run and --which$/);
  assert.is(
    await refuse("--checkpoint @/model --mean"),
    "--mean is about adapters: say with --adapters-of which",
  );
  assert.is(
    await refuse("--checkpoint @/model --dtype f16 --adapters-of text"),
    "adapters are written as f32: leave --dtype out, or add --static",
  );
  assert.match(
    await refuse("--checkpoint @/model --adapters-of"),
    /^the model makes its adapters from the text: give some/,
  );
  assert.is(
    await refuse("--checkpoint @/model --static --adapters-of one two"),
    "--static makes one model, but there are 2 inputs: give one, or add --mean",
  );
  await writeModel(`${directory}/plain`, adaptedConfig("none", "none"));
  assert.match(await refuse("--checkpoint @/plain --adapters-of text"), /no adapters to export/);
  const fields = adaptedConfig("none", "generated", { adapter_norm_input: true });
  await writeModel(`${directory}/normed`, fields);
  assert.match(await refuse("--checkpoint @/normed --adapters-of text"), /use --static/);
  await writeModel(`${directory}/specific`, adaptedConfig("none", "manual_specific"));
  assert.is(
    await refuse("--checkpoint @/specific --adapters-of text"),
    "the model's adapters depend on the task: say with --task which of sst2, rte it is",
  );
  assert.match(
    await refuse("--checkpoint @/specific --adapters-of text --task rt"),
    /^the model has no adapter for the task "rt"/,
  );
  await Deno.writeTextFile(`${directory}/bad.jsonl`, '{"source": "A text."}\n{"text": "No"}\n');
  assert.is(
    await refuse("--checkpoint @/model --adapters-of @/bad.jsonl"),
    '@/bad.jsonl:2: expected an object with a text as "source"',
  );
  await Deno.writeTextFile(`${directory}/empty.txt`, "\n");
  assert.match(await refuse("--checkpoint @/model --adapters-of @/empty.txt"), /^there is no text/);
  assert.equal((await names(directory)).filter((name) => name.startsWith("out")), []);
});

test.run();
