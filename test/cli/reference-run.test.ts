/** A configuration of the reference's authors, verbatim, from the command line to the scores. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeTinyModel } from "../train/tiny-model.ts";
import { realPath, testOnRealData } from "../real-data.ts";

const test = suite<{ directory: string }>("cli/reference-run");

const script = new URL("../../cli/train.ts", import.meta.url).pathname;

test.before(async (context) => {
  context.directory = await Deno.makeTempDir();
  await Deno.mkdir(`${context.directory}/model`);
  await writeTinyModel(`${context.directory}/model`);
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

/** Runs `deno task train` on the tiny model, and what it prints. */
async function train(cwd: string, config: string, flags = "") {
  const args = `--json --model model --data ${realPath("data")} --config ` +
    `${
      realPath("reference-configs")
    }/${config} --steps 3 --batch-size 4 --max-source-length 32 --max-target-length 8 ` +
    `--max-answer-length 4 --eval-limit 2 --test-limit 2 ${flags}`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, ...args.trim().split(" ")],
    cwd,
  }).output();
  const [printed, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  const lines = printed.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return { code, lines, said };
}

const config = "glue_ablations/glue_manual_generated.json";

testOnRealData(
  test,
  ["data", "reference-configs"],
  "GLUE is trained and scored on both splits",
  async ({ directory }) => {
    const { code, lines, said } = await train(directory, config);
    assert.is(code, 0, said);
    assert.match(said, /glue_manual_generated\.json: "temperature" has no effect: /);
    assert.equal(lines.filter((line) => "loss" in line).map(({ step }) => step), [1, 2, 3]);
    const [validation, last] = lines.slice(-2);
    const tasks = ["rte", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "cola"];
    assert.equal(Object.keys(validation.validation), tasks);
    assert.equal(Object.keys(last.test), tasks);
    assert.is(last.run, "output");

    // "overwrite_output_dir": what is there goes on, and here is done.
    const again = await train(directory, config);
    assert.is(again.code, 0, again.said);
    const scores = again.lines.map((line) => line.validation ?? line.test);
    assert.equal(scores, [validation.validation, last.test]);
    const other = await train(directory, config, "--seed 7");
    assert.is(other.code, 2);
    assert.match(other.said, /^error: seed is 7 here, but output was begun with 42: /m);
  },
);

testOnRealData(
  test,
  ["data", "reference-configs"],
  "MRQA is trained in chunks, and each of its sets scored by question",
  async ({ directory }) => {
    const duorc = realPath("data/mrqa-ood/DuoRC"), data = `${directory}/data`;
    await Deno.mkdir(`${data}/mrqa/SQuAD`, { recursive: true });
    await Deno.mkdir(`${data}/mrqa-ood/DuoRC`, { recursive: true });
    await Deno.copyFile(`${duorc}/train.json`, `${data}/mrqa/SQuAD/train.json`);
    await Deno.copyFile(`${duorc}/val.json`, `${data}/mrqa/SQuAD/val.json`);
    await Deno.copyFile(`${duorc}/val.json`, `${data}/mrqa-ood/DuoRC/val.json`);
    const flags = `--data ${data} --final-splits validation --out mrqa-run`;
    const config = "mrqa_experiments/per_dataset_adapter.json";
    const { code, lines, said } = await train(directory, config, flags);
    assert.is(code, 0, said);
    assert.equal(Object.keys(lines.at(-1).validation), ["SQuAD"]);
    assert.equal(Object.keys(lines.at(-1).validation.SQuAD), ["token_f1", "exact_match"]);

    // Sets of other domains have no adapter of their own: that is said before training.
    const other = await train(directory, config, `--data ${data} --out mrqa-test`);
    assert.is(other.code, 2);
    assert.match(
      other.said,
      /^error: the test split of mrqa has examples of DuoRC\.ParaphraseRC, /m,
    );
  },
);

testOnRealData(
  test,
  ["data", "reference-configs"],
  "a task without data at hand says what it wants",
  async ({ directory }) => {
    const nli = await train(directory, "xsum_nli/nli.json", "--out nli");
    assert.is(nli.code, 2);
    assert.match(nli.said, /^error: Task anli needs \S+\/anli\/R1\/train\.jsonl /m);
    const config = "mrqa_experiments/adamw_adapter_gen.json";
    const mrqa = await train(directory, config, "--out mrqa");
    assert.is(mrqa.code, 2);
    assert.match(
      mrqa.said,
      /^error: Task mrqa needs \S+\/mrqa\/train\/HotpotQA\.jsonl\.gz, or another of HotpotQA, /m,
    );
  },
);

test.run();
