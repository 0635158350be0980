/** Which tokenizer a run's model has: the one that it was trained with, wherever that lies, unless told. */

import { suite } from "../../harness.ts";
import * as assert from "uvu/assert";
import { openModel, runDirectory } from "../../../cli/frame/places.ts";
import { tokenizerChoice, type TokenizerFlags } from "../../../cli/frame/tokenizers.ts";
import { readRun } from "../../../cli/frame/trained.ts";
import { parseConfig } from "../../../models/config.ts";
import { UserError } from "../../../src/errors.ts";
import { saveCheckpoint } from "../../../src/train/checkpoint.ts";
import { resolveSettings } from "../../../src/train/settings.ts";
import { tinyConfig, writeTinyModel } from "../../train/tiny-model.ts";

const test = suite<{ directory: string }>("frame/trained");

const text = "The creature fled.";
const spiece = new URL("../../fixtures/sentencepiece/unigram.model", import.meta.url);
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A model whose tokenizer lies beside it, in a folder of its own. */
test.before(async (context) => {
  const directory = context.directory = await Deno.makeTempDir();
  for (const folder of ["model", "tokenizer"]) await Deno.mkdir(`${directory}/${folder}`);
  await writeTinyModel(`${directory}/model`);
  await Deno.rename(
    `${directory}/model/tokenizer.json`,
    `${directory}/tokenizer/tokenizer.json`,
  );
  await Deno.mkdir(`${directory}/other`);
  await Deno.copyFile(spiece, `${directory}/other/spiece.model`);
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

/** Writes a run whose checkpoint has these files beside the configuration and no weights of its own. */
async function writeRun(
  { directory }: { directory: string },
  name: string,
  flags: TokenizerFlags,
): Promise<string> {
  const model = `${directory}/model`;
  const options = { model, ...flags, tasks: ["rte"] };
  const { settings } = resolveSettings(options, tinyConfig, "config.json", ["rte"]);
  const path = `${directory}/${name}`;
  const run = runDirectory(path);
  await run.create(settings);
  const base = await openModel(model, await tokenizerChoice(flags));
  parseConfig(base.config, "config.json");
  await saveCheckpoint(run.store.checkpoints, {
    step: 1,
    files: {
      "config.json": encode(tinyConfig),
      "model.safetensors": await Deno.readFile(`${model}/model.safetensors`),
      "backbone.json": encode(await base.reference()),
    },
    state: {},
  });
  return path;
}

test("a run's tokenizer is the one it was trained with, and a flag names another", async (context) => {
  const { directory } = context;
  const path = await writeRun(context, "run", { tokenizer: `${directory}/tokenizer` });
  const trained = await readRun(path, {});
  const own = await openModel(`${directory}/model`, {
    ...await tokenizerChoice({ tokenizer: `${directory}/tokenizer` }),
  });
  assert.equal(trained.tokenizer.encode(text), own.tokenizer.encode(text));
  const other = await readRun(path, { tokenizer: `${directory}/other` });
  assert.is.not(other.tokenizer.encode(text).join(), own.tokenizer.encode(text).join());
  assert.equal(Object.keys(other.tokenizerFiles), ["spiece.model"]);
});

test("a run's rule is the one it was trained by", async (context) => {
  const tokenizer = `${context.directory}/other`;
  const path = await writeRun(context, "ruled", { tokenizer, tokenizerRule: "file" });
  const ids = async (flags: TokenizerFlags) =>
    (await readRun(path, flags)).tokenizer.encode("a\u0085b");
  assert.equal(await ids({}), await ids({ tokenizerRule: "file" }));
  assert.is.not((await ids({})).join(), (await ids({ tokenizerRule: "transformers" })).join());
});

test("a tokenizer that is nowhere is missed in one sentence", async () => {
  const error = await tokenizerChoice({ tokenizer: "./nowhere" }).then(() => 0, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /^there is no tokenizer at \.\/nowhere: give a directory with/);
});

test.run();
