import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportedDataset, exportedTaskNames } from "../../src/data/exported.ts";
import { fieldsOf } from "../../src/data/formats.ts";
import { fileTask, loadDatasets, taskNames, withSubtasks } from "../../src/data/tasks.ts";
import { UserError } from "../../src/errors.ts";
import { referenceFormats } from "./folder.ts";

const test = suite("tasks");

const header = "index\tsentence1\tsentence2\tlabel\n";
const data = {
  root: "data",
  stream: (path: string) =>
    Promise.resolve(new Blob([`${header}0\t${path}\tB.\tentailment\n`]).stream()),
  exists: (path: string) => Promise.resolve(path.startsWith("RTE/")),
};

async function refused(loading: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await loading.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

test("without a wish it is the miniature mixture, whole", async () => {
  const datasets = await loadDatasets({});
  assert.equal(datasets.map(({ task }) => task.name), [
    "sentiment",
    "acceptability",
    "entailment",
    "paraphrase",
    "question",
    "headline",
  ]);
  for (const { splits } of datasets) {
    assert.ok(splits.train!.length > splits.test!.length && splits.validation!.length > 0);
  }
});

test("tasks of both kinds mix, in the order asked for", async () => {
  const datasets = await loadDatasets({
    tasks: ["rte", "question"],
    data,
    splits: () => ["train"],
  });
  assert.equal(datasets.map(({ task }) => task.name), ["rte", "question"]);
  assert.match(datasets[0].splits.train![0].source, /RTE\/train\.tsv/);
});

test("a request that cannot be met is refused", async () => {
  await refused(
    loadDatasets({ tasks: ["headlines"] }),
    /"headlines" \(did you mean "headline"\?\)/,
  );
  await refused(loadDatasets({ tasks: ["rte"] }), /^task rte is read from files: say with --data/);
  await refused(loadDatasets({ tasks: ["rte", "rte"], data }), /^the task rte is named twice$/);
  await refused(loadDatasets({ data }), /is read from data: choose with --tasks among/);
  await refused(
    loadDatasets({ tasks: ["superglue-rt"] }),
    /^there is no task "superglue-rt" \(did you mean "superglue-rte"\?\); known tasks: sentiment, /,
  );
  assert.ok(taskNames.includes("headline") && taskNames.includes("mnli"));
});

test("each task may have splits of its own, and few training examples", async () => {
  const datasets = await loadDatasets({
    tasks: ["rte", "sentiment"],
    data,
    splits: (name) => name === "rte" ? ["validation"] : ["train"],
    trainLimit: 7,
  });
  assert.equal(Object.keys(datasets[0].splits), ["validation"]);
  assert.is(datasets[1].splits.train!.length, 7);
  const whole = (await loadDatasets({ tasks: ["sentiment"] }))[0].splits.train!;
  assert.ok(
    datasets[1].splits.train!.every((example) =>
      whole.some(({ source, target }) => source === example.source && target === example.target)
    ),
  );
});

test("every task of the reference is known, and a model for MRQA knows its sets", () => {
  for (const name of Object.keys(referenceFormats)) assert.is(fileTask(name)?.name, name);
  assert.is(fileTask("sentiment"), undefined);
  assert.equal(withSubtasks(["rte", "mrqa", "mrqa_reg", "rte"]), [
    "rte",
    "mrqa",
    "mrqa_reg",
    "HotpotQA",
    "NaturalQuestionsShort",
    "NewsQA",
    "SearchQA",
    "SQuAD",
    "TriviaQA-web",
  ]);
  assert.equal(withSubtasks(["squad"]), ["squad"]);
});

test("the documentation names every task of the reference, with its data set and fields", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/tasks.md", import.meta.url));
  const rows = page.split("\n").map((row) => row.split("|").map((cell) => cell.trim()));
  for (const name of Object.keys(referenceFormats)) {
    assert.ok(page.includes(`\`${name}\``), name);
    if (!exportedTaskNames.includes(name)) continue;
    const [, , dataset, fields] = rows.find((cells) =>
      cells[1] === `\`${name}\`` && cells.length === 5
    )!;
    assert.equal([dataset, fields], [`\`${exportedDataset(name)}\``, fieldsOf(name).join(", ")]);
  }
});

test.run();
