/** Models and data that flags are tried on, and the settings of the smallest run. */

import { fromFloat32, type SafeTensor } from "../../../src/io/safetensors.ts";
import { adaptedConfig, adaptedTensors } from "../../train/adapted-model.ts";
import { tinyConfig, tinyTensors, writeTinyModel } from "../../train/tiny-model.ts";

/** Settings of three updates of a tiny model, with nothing scored. */
const base = {
  model: "@/model",
  data: "@/data",
  tasks: ["mine"],
  steps: 3,
  batchSize: 2,
  learningRate: 0.01,
  warmupSteps: 0,
  maxSourceLength: 16,
  maxTargetLength: 4,
  maxAnswerLength: 4,
  evalEvery: 0,
  saveEvery: 0,
  finalSplits: [],
  encoderAdapterDim: 2,
  decoderAdapterDim: 2,
  hypernetworkBottleneck: 2,
  json: true,
};

const words = ["good", "bad", "good", "good and bad", "bad", "bad or good", "good", "bad"];

const rows = (count: number, ending = "") =>
  words.slice(0, count).map((target, i) => ({
    source: `word ${i} is ${target} or not${ending}`,
    hint: `hint ${i % 3}`,
    target,
  }));

/** The same tensors, but for a head that finds the end of a sequence more often likely, or unlikely. */
function endingOften(tensors: Map<string, SafeTensor>): Map<string, SafeTensor> {
  const { shape, data } = tensors.get("lm_head.weight")!;
  const head = new Float32Array(data.slice().buffer);
  const end = head.subarray(shape[1], 2 * shape[1]);
  end.set(end.map((value) => 4 * value));
  return tensors.set("lm_head.weight", fromFloat32(head, shape));
}

/** The same tensors, but for a head that has no number for one id. */
function withoutNumber(tensors: Map<string, SafeTensor>): Map<string, SafeTensor> {
  const { shape, data } = tensors.get("lm_head.weight")!;
  const head = new Float32Array(data.slice().buffer);
  return tensors.set(
    "lm_head.weight",
    fromFloat32(head.fill(NaN, 150 * shape[1], 151 * shape[1]), shape),
  );
}

/** Fills an empty directory. */
export async function writePlaces(directory: string): Promise<void> {
  const write = async (path: string, text: string) => {
    const file = `${directory}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text.replaceAll("@", directory));
  };
  const lines = (values: readonly object[]) =>
    values.map((value) => `${JSON.stringify(value)}\n`).join("");

  for (const model of ["model", "other", "adapted", "by-task", "ending", "broken"]) {
    await Deno.mkdir(`${directory}/${model}`);
  }
  await writeTinyModel(`${directory}/model`);
  const other = { ...tinyConfig, num_layers: 2 };
  await writeTinyModel(`${directory}/other`, other, tinyTensors(other));
  const adapted = adaptedConfig("manual", "generated");
  await writeTinyModel(`${directory}/adapted`, adapted, adaptedTensors(adapted));
  await writeTinyModel(`${directory}/ending`, adapted, endingOften(adaptedTensors(adapted)));
  await writeTinyModel(`${directory}/broken`, adapted, withoutNumber(adaptedTensors(adapted)));
  const byTask = adaptedConfig("task", "none");
  await writeTinyModel(`${directory}/by-task`, byTask, adaptedTensors(byTask));
  await Deno.mkdir(`${directory}/tokenizer`);
  const tokenizer = JSON.parse(await Deno.readTextFile(`${directory}/model/tokenizer.json`));
  const spelt = {
    ...tokenizer,
    normalizer: { type: "Replace", pattern: { String: "word" }, content: "word".repeat(9) },
  };
  await write("tokenizer/tokenizer.json", JSON.stringify(spelt));

  for (const [folder, ending] of [["data", ""], ["data-too", " too"]]) {
    await write(`${folder}/mine/train.jsonl`, lines(rows(8, ending)));
    await write(`${folder}/mine/validation.jsonl`, lines(rows(4, ending)));
    await write(`${folder}/mine/test.jsonl`, lines(rows(4, ending)));
  }
  await write("data/yours/train.jsonl", lines(rows(4, " yours")));
  await write("data/yours/validation.jsonl", lines(rows(2, " yours")));
  await write(
    "task.json",
    JSON.stringify({ name: "written", columns: { target: "hint" } }),
  );

  const question = (id: string, text: string[]) => ({
    id,
    question: `What is ${id}?`,
    is_impossible: text.length === 0,
    answers: text.map((text) => ({ text, answer_start: 0 })),
  });
  const paragraph = {
    context: "Snow is white.",
    qas: [question("a", ["Snow"]), question("b", [])],
  };
  const squad = JSON.stringify({ version: "v2.0", data: [{ title: "", paragraphs: [paragraph] }] });
  await write("data/squad/train-v2.0.json", squad);
  const rte = "index\tsentence1\tsentence2\tlabel\n0\tIt rains.\tIt is wet.\tentailment\n1\tcut\n";
  await write("data/RTE/train.tsv", rte);
  await write("data/RTE/dev.tsv", rte);
  await write(
    "books/novel.txt",
    "It was a dark night, and it rained on the old house.\n\n".repeat(9),
  );
  await write("full/file.txt", "something");

  await write("base.json", JSON.stringify(base));
  await write("sampling.json", JSON.stringify({ do_sample: true }));
  await write("pretrain.json", JSON.stringify({ seed: 3 }));
  await write("base-cosine.json", JSON.stringify({ ...base, schedule: "cosine" }));
}
