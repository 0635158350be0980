/** How answers are chosen and scored, beyond what a run's tests see. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dataset, Example } from "../../src/data/types.ts";
import { readGenerationConfig } from "../../src/generate/generation-config.ts";
import {
  answer,
  type AnswerWays,
  createAnswering,
  evaluate,
  majorityBaseline,
} from "../../src/train/evaluate.ts";
import type { GenerationOptions } from "../../src/generate/options.ts";
import { placeWeights } from "../../src/train/weights.ts";
import { checkTrained } from "../../src/train/trained-model.ts";
import { readModel } from "../../src/train/model-files.ts";
import { testDevice } from "../graph/device.ts";
import { tinySource } from "./memory.ts";

const test = suite("evaluate");

/** A tiny model with random weights, which answers whatever comes. */
async function model(ways?: AnswerWays) {
  const source = await tinySource();
  const { files, config, weights } = checkTrained(await readModel(source, () => source));
  const parameters = await placeWeights(await testDevice(), config, weights);
  const limits = { batchSize: 3, maxSourceLength: 16, maxTargetLength: 4 };
  return createAnswering(config, parameters, files.tokenizer, limits, ways);
}

/** Questions with as many parts as they are asked of. */
const questions = [3, 1, 2].map((parts, i) => {
  const question = { id: `q${i}`, answers: ["first", "second"] };
  return Array.from({ length: parts }, (_, part): Example => ({
    task: "reading",
    source: `question ${i} part ${part}`,
    target: "",
    question,
  }));
});

const reading: Dataset = {
  task: { name: "reading", description: "", metrics: ["exact_match"] },
  splits: { test: questions.flat() },
};

test("a question has the surest answer of its parts", async () => {
  const answering = await model();
  const { tasks: [{ predictions }] } = (await evaluate(answering, [reading], { split: "test" }))!;
  assert.is(predictions.length, 3);
  const options = { maxLength: 5, minLength: 2 };
  for (const [i, parts] of questions.entries()) {
    const { texts, nlls } = (await answer({ ...answering, options }, parts))!;
    const sure = parts.map((_, part) => part).filter((part) => texts[part] !== "")
      .sort((a, b) => nlls[a] - nlls[b])[0] ?? 0;
    assert.is(predictions[i].prediction, texts[sure]);
    assert.is(predictions[i].source, parts[sure].source);
    assert.is(predictions[i].question, parts[0].question);
  }
  const limited = await evaluate(answering, [reading], { split: "test", limit: 2 });
  assert.equal(limited!.tasks[0].predictions.map(({ question }) => question!.id), ["q0", "q1"]);
});

test("a flag wins over the task's own way, that over the model's files, and these over nothing", async () => {
  const fields = { num_beams: 3, max_length: 4, min_length: 9, repetition_penalty: 1.5 };
  const file = { fields, file: "generation_config.json" };
  const defaults = readGenerationConfig(file, file);
  /** The options that a task's answers are generated with. */
  const optionsOf = async (ways: AnswerWays, own: Partial<Dataset["task"]>, beams = 0) => {
    const answering = await model(ways);
    const asked: GenerationOptions[] = [];
    const generate = answering.generator.generate.bind(answering.generator);
    answering.generator.generate = (batch, options, signal) => {
      asked.push(options);
      return generate(batch, options, signal);
    };
    const dataset = { ...reading, task: { ...reading.task, ...own } };
    await evaluate(answering, [dataset], { split: "test", limit: 1, beams });
    answering.generator.destroy();
    const { beams: chosen, maxLength, minLength, repetitionPenalty } = asked[0];
    return { beams: chosen, maxLength, minLength, repetitionPenalty };
  };
  const ways = { given: {}, defaults };
  const penalty = { repetitionPenalty: 1.5 };
  assert.equal(await optionsOf(ways, {}), { beams: 3, maxLength: 4, minLength: 4, ...penalty });
  assert.equal(await optionsOf(ways, { answerLength: 5, beams: 2 }), {
    beams: 2,
    maxLength: 5,
    minLength: 2,
    ...penalty,
  });
  const given = { given: { maxLength: 3, repetitionPenalty: 1 }, defaults };
  assert.equal(await optionsOf(given, { answerLength: 5, beams: 2 }, 4), {
    beams: 4,
    maxLength: 3,
    minLength: 2,
    repetitionPenalty: 1,
  });
});

test("any of a question's answers is right", () => {
  const splits = { test: questions[1], train: [{ ...questions[1][0], target: "second" }] };
  assert.equal(majorityBaseline({ ...reading, splits }, "test"), { exact_match: 100 });
  const summary: Example = {
    task: "summary",
    source: "text",
    target: "one",
    references: ["one", "two"],
  };
  const summaries = { test: [summary], train: [{ ...summary, target: "two" }] };
  const task: Dataset["task"] = { name: "summary", description: "", metrics: ["rouge_1"] };
  assert.equal(majorityBaseline({ task, splits: summaries }, "test"), { rouge_1: 100 });
});

test("answers are as long as their task's may be, never empty, unless told otherwise", async () => {
  const answering = await model();
  const { tokenizer } = answering;
  const lengths = async (task: Partial<Dataset["task"]>, search = {}) => {
    const dataset = { ...reading, task: { ...reading.task, ...task } };
    const options = { split: "test", ...search } as const;
    let longest = 0;
    const counting = {
      ...answering,
      tokenizer: {
        ...tokenizer,
        decode: (ids: Iterable<number>) => {
          const list = [...ids];
          assert.ok(list.length > 0);
          longest = Math.max(longest, list.length);
          return tokenizer.decode(list);
        },
      },
    };
    await evaluate(counting, [dataset], options);
    return longest;
  };
  // The start token counts in a length of ids, but for that of a flag.
  assert.is(await lengths({}), 4);
  assert.is(await lengths({ answerLength: 3 }), 2);
  const label = tokenizer.encode("yes no");
  assert.is(await lengths({ answerLength: ["yes", "yes no"] }), label.length - 1);
  assert.is(await lengths({ answerLength: 3 }, { maxAnswerLength: 5 }), 5);
});

test.run();
