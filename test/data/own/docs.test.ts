/** What docs/own-data.md shows works: its tables are read by its commands, and its keys and names are all there are. */

import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describeOwn } from "../../../cli/frame/data-report.ts";
import { builtInSource } from "../../../cli/frame/data-places.ts";
import { parseHubPlace } from "../../../cli/frame/hub-data.ts";
import { type OwnFlags, withOwnTasks } from "../../../cli/frame/own-flags.ts";
import { resolveTasks } from "../../../cli/frame/own-tasks.ts";
import { withSettings } from "../../../cli/frame/settings.ts";
import { METRIC_NAMES } from "../../../src/data/types.ts";
import { loadDatasets } from "../../../src/data/tasks.ts";
import { diskFiles } from "../../../src/platform/files.ts";
import type { Options } from "../../../src/train/settings.ts";

const test = suite<{ directory: string }>("docs/own-data");

const page = await Deno.readTextFile(new URL("../../../docs/own-data.md", import.meta.url));
const blocks = [...page.matchAll(/^```(\w*) ?(\S*)\n([\s\S]*?)^```$/gm)]
  .map(([, language, name, text]) => ({ language, name, text }));

/** The words of each `deno task train` that is shown. */
const commands = blocks.filter(({ language }) => language === "sh")
  .flatMap(({ text }) => text.replaceAll("\\\n", " ").trim().split("\n"))
  .filter((line) => line.startsWith("deno task train") && !line.includes("--resume"))
  .map((line) =>
    [...line.matchAll(/"([^"]*)"|\S+/g)].slice(3).map(([word, quoted]) => quoted ?? word)
  );

test.before(async (context) => {
  const directory = context.directory = await Deno.makeTempDir();
  for (const { name, text } of blocks) {
    if (name !== "") await Deno.writeTextFile(`${directory}/${name}`, text);
  }
  const folders = ["reviews", "data/reviews", "glue/SST-2"].map((folder) => `path/to/${folder}`);
  for (const folder of folders) await Deno.mkdir(`${directory}/${folder}`, { recursive: true });
  for (const file of ["reviews/train.csv", "reviews/test.csv", "data/reviews/train.csv"]) {
    await Deno.copyFile(`${directory}/reviews.csv`, `${directory}/path/to/${file}`);
  }
  await Deno.copyFile(`${directory}/trivia.tsv`, `${directory}/path/to/data/trivia.tsv`);
  for (const file of ["train", "dev"]) {
    await Deno.writeTextFile(
      `${directory}/path/to/glue/SST-2/${file}.tsv`,
      "sentence\tlabel\na fine film\t1\n",
    );
  }
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

/** What a command of the page reads, with the line that is told for each task. */
async function load(directory: string, words: readonly string[]) {
  const command = withOwnTasks(withSettings(new Command())).option("--out <directory>")
    .exitOverride().configureOutput({ outputError: () => {} });
  // Paths are those of the test's folder.
  const inside = words.map((word, i) =>
    ["--data", "--task-file"].includes(words[i - 1])
      ? word.split(",").map((path) => {
        const [, task = "", place] = /^(\w+=)?(.*)$/.exec(path)!;
        return `${task}${directory}/${place}`;
      }).join(",")
      : word
  );
  await command.action(() => {}).parseAsync(inside, { from: "user" });
  const options = command.opts<Omit<Options, "taskFile"> & OwnFlags>();
  const { tasks = [], data, taskFile = [] } = await resolveTasks(options);
  const source = await builtInSource(data);
  const told: string[] = [];
  const datasets = await loadDatasets({
    tasks,
    ...(source && { data: source }),
    own: { tasks: taskFile, files: diskFiles },
    onReadOwn: (read) => told.push(describeOwn(read).replaceAll(`${directory}/`, "")),
  });
  return { datasets, told };
}

test("every command that trains finds its rows", async ({ directory }) => {
  assert.ok(commands.length >= 8, `${commands.length} commands`);
  const onHub = (words: readonly string[]) => words.some((word) => word.startsWith("hub:"));
  for (const words of commands.filter((words) => !onHub(words))) {
    const { datasets } = await load(directory, words);
    const line = words.join(" ");
    for (const { task, splits } of datasets) {
      for (const split of ["train", "validation", "test"] as const) {
        assert.ok(splits[split]!.length > 0, `${line}: ${task.name} has no ${split} rows`);
      }
    }
    const named = words[words.indexOf("--tasks") + 1]?.split(",");
    if (words.includes("--tasks")) {
      assert.equal(datasets.map(({ task }) => task.name), named, line);
    }
  }
});

test("the first prints what the page says", async ({ directory }) => {
  const { told } = await load(directory, commands[0]);
  const shown = blocks.find(({ language }) => language === "")!;
  assert.is(told.join("\n"), shown.text.trim());
});

test("columns, quotes and templates are as the page says", async ({ directory }) => {
  const [{ splits }] = (await load(directory, commands[0])).datasets;
  const sources = Object.values(splits).flat().map(({ source }) => source);
  assert.ok(sources.includes('"See it", said everyone, and they were right.'));
  const trivia = commands.find((words) => words.includes("--template"))!;
  const [{ splits: { train } }] = (await load(directory, trivia)).datasets;
  assert.match(train![0].source, /^trivia question: .*\? context: .*\.$/);
});

test("what is named of the hub is a data set's name", () => {
  const places = commands.flat().filter((word) => word.startsWith("hub:"));
  assert.equal(places.map((place) => parseHubPlace(place)), [
    { repository: "stanfordnlp/sentiment140" },
    { repository: "allenai/sciq" },
    { repository: "google/boolq", revision: "main" },
  ]);
});

test("every metric is named", () => {
  for (const metric of METRIC_NAMES) assert.ok(page.includes(`\`${metric}\``), metric);
});

test.run();
