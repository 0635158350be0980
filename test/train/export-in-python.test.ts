/**
 * Exports in Python's transformers, which has to answer as the reference, as transformers itself and as this
 * project do. Runs where HYPERDECODER_PYTHON names an interpreter with torch and transformers.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import recorded from "../fixtures/checkpoints/expected.json" with { type: "json" };
import { needsTasks, parseConfig, taskIndices } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { parameterInventory } from "../../models/inventory.ts";
import { SequenceGenerator } from "../../src/generate/generator.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { exportFiles } from "../../src/train/export.ts";
import { readModel } from "../../src/train/model-files.ts";
import { checkTrained, type TrainedModel } from "../../src/train/trained-model.ts";
import { placeWeights } from "../../src/train/weights.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { runPython, testWithPython } from "../python/interpreter.ts";
import { adaptedConfig, adaptedTensors } from "./adapted-model.ts";
import { memorySource } from "./memory.ts";
import { tokenizerOf } from "./tiny-model.ts";

const test = suite<{ directory: string }>("exports in Python's transformers");
test.before(async (context) => {
  context.directory = await Deno.makeTempDir();
});
test.after(({ directory }) => Deno.remove(directory, { recursive: true }));

const ROOT = new URL("../fixtures/", import.meta.url);

/** A batch for a model. */
interface Case {
  readonly directory: string;
  readonly inputIds: number[][];
  readonly attentionMask: number[][];
  readonly decoderInputIds: number[][];
  readonly labels?: number[][];
  readonly tasks?: string[];
  /** Those of what is generated, if they are others. */
  readonly answerTasks?: string[];
  readonly maxLength: number;
  /** Where Python is to save the model. */
  readonly saveTo?: string;
}

/** What `answers.py` says of it. */
interface Answer {
  readonly loading: unknown[];
  readonly class: string;
  readonly logits: number[];
  readonly loss: number | null;
  readonly greedy: number[][];
  readonly beams: number[][];
  readonly saved: { same: boolean; info: object };
  /** How far the logits of the model in float16 are off. */
  readonly half: number;
}

/** Python's answers, and that loading said nothing and saving lost nothing. */
async function answers(
  python: string,
  directory: string,
  cases: readonly Case[],
): Promise<Answer[]> {
  const file = `${directory}/cases.json`;
  await Deno.writeTextFile(file, JSON.stringify(cases));
  const program = new URL("../python/answers.py", import.meta.url).pathname;
  const found: Answer[] = JSON.parse(await runPython(python, [program, file]));
  for (const [i, { loading, saved, half, ...answer }] of found.entries()) {
    const { directory } = cases[i];
    // This, version 5 says of every T5 that has a head of its own.
    const isUsual = (said: unknown) => /^The tied weights mapping/.test(`${said}`);
    const isPlain = !answer.class.startsWith("Hyperdecoder");
    assert.equal(loading.filter((said) => !(isPlain && isUsual(said))), [], directory);
    assert.equal(saved, { same: true, info: {} }, directory);
    assert.ok(half < 0.5, `${directory} in float16: logits are off by ${half}`);
  }
  return found;
}

/** Writes what an export has. */
async function write(model: TrainedModel, directory: string): Promise<string> {
  await Deno.mkdir(directory, { recursive: true });
  for (const [name, content] of Object.entries(exportFiles(model))) {
    const parts = content instanceof Uint8Array ? [content] : await Array.fromAsync(content);
    const bytes = await new Blob(parts as BlobPart[]).bytes();
    await Deno.writeFile(`${directory}/${name}`, bytes);
  }
  return directory;
}

async function load(directory: string | URL, vocabSize: number): Promise<TrainedModel> {
  const files: Record<string, Uint8Array> = { "tokenizer.json": tokenizerOf(vocabSize) };
  for await (const { name } of Deno.readDir(directory)) {
    files[name] = await Deno.readFile(`${directory}/${name}`.replace("file://", ""));
  }
  const source = memorySource(files);
  return checkTrained(await readModel(source, () => source));
}

/** The model of a fixture of the reference. */
async function goldenModel(root: URL): Promise<TrainedModel> {
  const { model_files } = JSON.parse(await Deno.readTextFile(new URL("meta.json", root)));
  const configText = await Deno.readTextFile(new URL("config.json", root));
  const config = parseConfig(JSON.parse(configText), "config.json");
  const found = new Map();
  for (const file of model_files) {
    const bytes = await Deno.readFile(new URL(file, root));
    for (const entry of await openSafetensors(bytesSource(file, bytes))) found.set(...entry);
  }
  const tensors = parameterInventory(config).map(({ name }) => [name, found.get(name)!] as const);
  const files: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(configText),
    "model.safetensors": writeSafetensors(
      new Map(
        await Promise.all(
          tensors.map(async ([name, { dtype, shape, read }]) =>
            [name, { dtype, shape, data: await read() }] as const
          ),
        ),
      ),
    ),
    "tokenizer.json": tokenizerOf(config.vocabSize),
  };
  const source = memorySource(files);
  return checkTrained(await readModel(source, () => source));
}

const GOLDEN = [
  "01_none_none",
  "02_manual_manual",
  "03_manual_generated",
  "06_generated_generated",
  "07_task_task",
  "08_manual_specific_manual_specific",
  "11_manual_none",
];

testWithPython(
  test,
  "answers of every mode are the reference's",
  async (python, { directory }) => {
    const cases = [], expected = [];
    for (const name of GOLDEN) {
      const root = new URL(`golden/${name}/`, ROOT);
      const read = async (file: string) => JSON.parse(await Deno.readTextFile(new URL(file, root)));
      const io = readSafetensors(await Deno.readFile(new URL("io.safetensors", root)), name);
      const rows = (field: string) => {
        const { data, shape: [count, length] } = io.get(field)!;
        const ids = new Int32Array(data.slice().buffer);
        return Array.from(
          { length: count },
          (_, i) => [...ids.subarray(i * length, (i + 1) * length)],
        );
      };
      const meta = await read("meta.json");
      const { greedy, tasks: answerTasks } = await read("generate.json");
      cases.push({
        directory: await write(await goldenModel(root), `${directory}/${name}`),
        inputIds: rows("input_ids"),
        attentionMask: rows("attention_mask"),
        decoderInputIds: rows("decoder_input_ids"),
        labels: rows("labels_neg100"),
        ...(meta.tasks && { tasks: meta.tasks, answerTasks }),
        maxLength: 20,
      });
      const logits = new Float32Array(io.get("logits")!.data.slice().buffer);
      expected.push({ name, greedy, logits, loss: meta.losses.ce_mean_ignoring_pad });
    }
    const found = await answers(python, directory, cases);
    for (const [i, { name, greedy, logits, loss }] of expected.entries()) {
      const isPlain = name.startsWith("01");
      assert.is(found[i].class, `${isPlain ? "T5" : "Hyperdecoder"}ForConditionalGeneration`);
      const bounds = { absolute: 2e-5, relative: 1e-5 };
      assertClose(found[i].logits, logits, { ...bounds, what: `${name}: logit` });
      assertClose([found[i].loss!], [loss], { ...bounds, what: `${name}: loss` });
      assert.equal(found[i].greedy, greedy.map(toEnd), name);
    }
  },
);

testWithPython(
  test,
  "what transformers saved and this project exported answers as before",
  async (python, { directory }) => {
    const { batch, ...checkpoints } = recorded;
    const names = Object.keys(checkpoints) as (keyof typeof checkpoints)[];
    const cases = [];
    for (const name of names) {
      const model = await load(new URL(`checkpoints/${name}/`, ROOT), 48);
      cases.push({
        directory: await write(model, `${directory}/${name}`),
        inputIds: batch.source,
        attentionMask: batch.source.map((row) => row.map((id) => Number(id !== 0))),
        decoderInputIds: batch.target,
        maxLength: checkpoints[name].greedy[0].length,
      });
    }
    const found = await answers(python, directory, cases);
    for (const [i, name] of names.entries()) {
      const { logits, greedy } = checkpoints[name];
      const bounds = { absolute: 2e-5, relative: 1e-5 };
      assertClose(found[i].logits, logits.flat(2), { ...bounds, what: `${name}: logit` });
      assert.equal(found[i].greedy, greedy.map(toEnd), name);
    }
  },
);

/** Models whose parts the fixtures do not have. */
const OWN: Record<string, Record<string, unknown>> = {
  "adapters on the normed input, no perceptron": adaptedConfig("task", "generated", {
    adapter_norm_input: true,
    process_encoder_output: false,
  }),
  "a deeper decoder, near positions": adaptedConfig("generated", "manual_specific", {
    num_layers: 1,
    num_decoder_layers: 3,
    relative_attention_max_distance: 20,
    relative_attention_num_buckets: 8,
  }),
  "a tied head, scaled": adaptedConfig("none", "generated", {
    tie_word_embeddings: true,
    feed_forward_proj: "relu",
  }),
  "a tied head, not scaled": adaptedConfig("manual", "none", {
    tie_word_embeddings: true,
    scale_decoder_outputs: false,
    feed_forward_proj: "gated-silu",
  }),
  "a head of its own, scaled": adaptedConfig("generated", "task", {
    tie_word_embeddings: false,
    scale_decoder_outputs: true,
  }),
};

testWithPython(
  test,
  "answers are this project's, and what is saved there is read here",
  async (python, { directory }) => {
    const gpu = await testDevice();
    const inputIds = [[5, 9, 77, 3, 61, 23, 8, 40, 52, 7, 12, 1], [
      9,
      30,
      12,
      1,
      ...Array(8).fill(0),
    ]];
    const batch = {
      inputIds,
      attentionMask: inputIds.map((row) => row.map((id) => Number(id !== 0))),
      decoderInputIds: [[0, 17, 8, 40], [0, 3, 3, 29]],
      tasks: ["rte", "sst2"],
      maxLength: 10,
    };
    const cases = [], models = [];
    for (const [i, fields] of Object.values(OWN).entries()) {
      const small = { ...fields, vocab_size: 96, dropout_rate: 0 };
      const source = memorySource({
        "config.json": new TextEncoder().encode(JSON.stringify(small)),
        "model.safetensors": writeSafetensors(adaptedTensors(small)),
        "tokenizer.json": tokenizerOf(96),
      });
      const model = checkTrained(await readModel(source, () => source));
      const { tasks, ...untold } = batch;
      models.push(model);
      cases.push({
        ...untold,
        ...(needsTasks(model.config) && { tasks }),
        directory: await write(model, `${directory}/own-${i}`),
        saveTo: `${directory}/saved-${i}`,
      });
    }
    const found = await answers(python, directory, cases);
    for (const [i, name] of Object.keys(OWN).entries()) {
      const expected = await computed(models[i], batch);
      assertClose(found[i].logits, expected.logits, { absolute: 3e-5, what: `${name}: logit` });
      assert.equal(found[i].greedy, expected.greedy, name);
      assert.equal(found[i].beams, expected.beams, name);
      const saved = await computed(await load(cases[i].saveTo, 96), batch);
      assertClose(saved.logits, expected.logits, { absolute: 1e-6, what: `${name}, saved: logit` });
    }

    async function computed({ config, weights }: TrainedModel, batch: Omit<Case, "directory">) {
      const parameters = await placeWeights(gpu, config, weights);
      const [batchSize, sourceLength] = [inputIds.length, inputIds[0].length];
      const ints = (values: number[][]) => Int32Array.from(values.flat());
      const outputs = forward({ config, weight: (name) => parameters.tensor(name) }, {
        inputIds: input("inputIds", [batchSize, sourceLength], "i32"),
        attentionMask: input("attentionMask", [batchSize, sourceLength], "i32"),
        decoderInputIds: input("decoderInputIds", [batchSize, 4], "i32"),
        taskIds: input("taskIds", [batchSize], "i32"),
      });
      const program = await compile(gpu, { outputs: { logits: outputs.logits } });
      const source = {
        inputIds: ints(batch.inputIds),
        attentionMask: ints(batch.attentionMask),
      };
      const given = {
        ...source,
        decoderInputIds: ints(batch.decoderInputIds),
        taskIds: taskIndices({ ...config, tasks: ["sst2", "rte"] }, batch.tasks!),
      };
      const needed = Object.entries(given).filter(([name]) => program.inputNames.has(name));
      const { logits } = await program.run(Object.fromEntries(needed), ["logits"]);
      program.destroy();
      const generator = new SequenceGenerator(config, parameters);
      const generated = async (beams: number) => {
        const found = await generator.generate(
          { batchSize, sourceLength, tasks: batch.tasks!, ...source },
          { maxLength: batch.maxLength, beams, ...(beams > 1 && { beamRule: "transformers" }) },
        );
        return found.map(([{ tokens }]) => [0, ...tokens]);
      };
      const greedy = await generated(1), beams = await generated(4);
      generator.destroy();
      parameters.destroy();
      return { logits, greedy, beams };
    }
  },
);

/** A sequence up to its end. */
function toEnd(ids: number[]): number[] {
  const end = ids.indexOf(1);
  return end < 0 ? ids : ids.slice(0, end + 1);
}

test.run();
