/** Own data as a person uses it: trained on, resumed, scored and asked, with a model of random weights. */

import type { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { evalCommand } from "../../cli/eval.ts";
import { trainCommand } from "../../cli/train.ts";
import { UserError } from "../../src/errors.ts";
import { writeTinyModel } from "../train/tiny-model.ts";

const test = suite<{ directory: string }>("cli/own-data");

const { log, error } = console;
let printed: string[], told: string[];

test.before(async (context) => {
  const directory = context.directory = await Deno.makeTempDir();
  await Deno.mkdir(`${directory}/model`);
  await writeTinyModel(`${directory}/model`);
  await Deno.writeTextFile(`${directory}/model/config.json.txt`, "");
  const rows = Array.from({ length: 12 }, (_, i) => `Is ${i} even?,${i % 2 ? "no" : "yes"}`);
  await Deno.writeTextFile(`${directory}/pairs.csv`, `q,a\n${rows.join("\n")}\n`);
  await Deno.writeTextFile(`${directory}/other.csv`, `q,a\n${rows.slice(0, 3).join("\n")}\n`);
  await Deno.writeTextFile(
    `${directory}/more.jsonl`,
    `{"source": "One?", "target": "two"}\n{"source": "Two?", "target": "three"}\n`,
  );
  await Deno.mkdir(`${directory}/folder/mine`, { recursive: true });
  await Deno.copyFile(`${directory}/pairs.csv`, `${directory}/folder/mine/train.csv`);
  const task = { name: "mine", data: "pairs.csv", columns: { source: "q", target: "a" } };
  await Deno.writeTextFile(`${directory}/mine.json`, JSON.stringify(task));
  await Deno.writeTextFile(`${directory}/bad.json`, JSON.stringify({ ...task, name: "sst2" }));
});
test.before.each(() => {
  printed = [];
  told = [];
  console.log = (line: string) => printed.push(line);
  console.error = (line: string) => told.push(line);
});
test.after.each(() => {
  Object.assign(console, { log, error });
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

/** Runs a command, given with the scratch directory as @. */
async function run({ directory }: { directory: string }, command: Command, args: string) {
  const words = args.split(" ").map((word) => word.replaceAll("@", directory));
  command.exitOverride().configureOutput({ outputError: () => {} });
  await command.parseAsync(words, { from: "user" });
}

async function refusal(context: { directory: string }, command: Command, args: string) {
  const failure = await run(context, command, args).then(() => undefined, (error) => error);
  if (!(failure instanceof UserError)) throw failure ?? new Error("accepted");
  return failure.message.replaceAll(context.directory, "@");
}

const tiny =
  "--model @/model --batch-size 2 --max-source-length 16 --max-target-length 4 --steps 2 " +
  "--eval-every 2 --encoder-adapter manual_specific --encoder-adapter-dim 4 --decoder-adapter-dim 3 " +
  "--hypernetwork-bottleneck 5 --json";
const columns = "--source-column q --target-column a";

test("a run keeps what its tasks are", async (context) => {
  const { directory } = context;
  const said =
    `--data mine=@/pairs.csv,more=@/more.jsonl --tasks mine,more --task-file @/mine.json`;
  await run(context, trainCommand(), `${tiny} ${said} --labels yes,no,two,three --out @/run`);
  assert.match(
    told[0],
    /^Read mine: 12 rows of .*pairs\.csv \("q" → "a"\); 11 to train; 1 to validate/,
  );
  const result = JSON.parse(printed.at(-1)!);
  assert.equal(Object.keys(result.test), ["mine", "more"]);
  assert.equal(Object.keys(result.test.mine), ["accuracy"]);
  const { taskFile, tasks } = JSON.parse(await Deno.readTextFile(`${directory}/run/config.json`));
  assert.equal(tasks, ["mine", "more"]);
  assert.equal(taskFile[0], {
    name: "mine",
    data: { train: `${directory}/pairs.csv` },
    columns: { source: "q", target: "a" },
    labels: ["yes", "no", "two", "three"],
    metrics: ["accuracy"],
  });

  // It is scored on the rows that were cut off, whatever is said or not.
  await run(context, evalCommand(), "--run @/run --out @/predictions.jsonl --json");
  assert.equal(JSON.parse(printed.at(-1)!).scores, result.test);
  const lines = (await Deno.readTextFile(`${directory}/predictions.jsonl`)).trim().split("\n");
  assert.is(lines.length, 2);
  await run(context, evalCommand(), "--run @/run --data mine=@/pairs.csv --json");
  assert.equal(JSON.parse(printed.at(-1)!).scores, result.test);

  // Other rows are scored whole, by other metrics where they are named.
  await run(
    context,
    evalCommand(),
    "--run @/run --tasks mine --data @/other.csv --metric exact_match --out @/predictions.jsonl --json",
  );
  assert.equal(Object.keys(JSON.parse(printed.at(-1)!).scores.mine), ["exact_match"]);
  const others = (await Deno.readTextFile(`${directory}/predictions.jsonl`)).trim().split("\n");
  assert.equal(others.map((line) => JSON.parse(line).source), [
    "Is 0 even?",
    "Is 1 even?",
    "Is 2 even?",
  ]);

  // Going on may repeat what was said, and say nothing else.
  await run(context, trainCommand(), `--resume @/run ${said} --json`);
  assert.is(
    await refusal(context, trainCommand(), "--resume @/run --metric bleu"),
    '"metrics" of the task mine is ["bleu"] here, but @/run was begun with ["accuracy"]: leave it out ' +
      "to resume, or begin a new run",
  );
});

test("a run that goes on notices that its data has changed", async (context) => {
  const { directory } = context;
  const file = `${directory}/changing.csv`;
  await Deno.writeTextFile(file, "source,target\na,b\nc,d\ne,f\n");
  await run(context, trainCommand(), `${tiny} --data @/changing.csv --out @/changing`);
  await Deno.writeTextFile(file, "source,target\na,b\nc,d\ne,f\ng,h\n");
  assert.is(
    await refusal(context, trainCommand(), "--resume @/changing --json"),
    "the train examples of changing are not those that @/changing was begun with (3 now, 2 then): put the " +
      "data back as it was, or begin a new run",
  );
});

test("what has no effect, or two meanings, is refused", async (context) => {
  const cases: [args: string, pattern: RegExp][] = [
    [
      `--data @/pairs.csv --tasks sst2 ${columns}`,
      /^--source-column says what a task of your own is/,
    ],
    [
      `--data @/pairs.csv --tasks sst2`,
      /^no task reads @\/pairs\.csv: what is built in \(sst2\) is/,
    ],
    [
      `--data @/pairs.csv --tasks sentiment`,
      /^no task reads @\/pairs\.csv: name its task with --tasks/,
    ],
    [
      `--tasks sentiment --metric bleu`,
      /^--metric says what a task of your own is, and there is none/,
    ],
    [`--task-file @/bad.json`, /^sst2 is one of the tasks built in: give your own another name/],
    [`--task-file @/mine.json --tasks sentiment`, /^mine of the task file is not among the tasks/],
    [`--task-file @/mine.json,@/mine.json`, /^the task files describe mine twice$/],
    [`--task-file @/none.json`, /^cannot read @\/none\.json: no such file or directory$/],
    [
      `--data @/pairs.csv --tasks a,b ${columns}`,
      /^@\/pairs\.csv is the data of one task, and a and b/,
    ],
    [
      `--data @/folder --tasks min`,
      /^there is no task "min".*no min\/train\.jsonl, min\.csv.* in @\/folder$/,
    ],
    [
      `--data @/model/config.json.txt`,
      /^@\/model\/config\.json\.txt is of no kind that can be read/,
    ],
    [`--data @/none.csv`, /^there is no file or folder @\/none\.csv/],
    [`--data @/none --tasks mine`, /^there is no file or folder @\/none$/],
    [
      `--data @/pairs.csv --tasks mine`,
      /^@\/pairs\.csv has the columns "q", "a": say with --source/,
    ],
    [
      `--data @/pairs.csv --tasks mine ${columns} --template {q}`,
      /^--source-column and --template both/,
    ],
    [
      `--data @/pairs.csv --tasks mine ${columns} --metric f1`,
      /^the task mine: f1 compares classes/,
    ],
    [
      `--data @/pairs.csv --tasks mine ${columns} --labels yes`,
      /:3: "no" is not a label of mine \(yes\)/,
    ],
    [`--data mine=@/pairs.csv,mine=@/other.csv ${columns}`, /^--data names 2 places for mine$/],
  ];
  for (const [args, pattern] of cases) {
    const message = await refusal(context, trainCommand(), `${tiny} --out @/no ${args}`);
    assert.match(message, pattern, message);
  }
});

test.run();
