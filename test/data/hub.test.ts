/** Data sets of the hub, from a hub on this machine, with tables as the hub has them today. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { builtInSource } from "../../cli/frame/data-places.ts";
import { dataFiles } from "../../cli/frame/hub-data.ts";
import { resolveTasks } from "../../cli/frame/own-tasks.ts";
import { exportedDataset, exportedTaskNames } from "../../src/data/exported.ts";
import { fieldsOf, formattedTaskNames } from "../../src/data/formats.ts";
import { chooseConfig, readLayout } from "../../src/data/hub-layout.ts";
import { hubTasks } from "../../src/data/hub-tasks.ts";
import { fileTask, loadDatasets, taskNames } from "../../src/data/tasks.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";
import type { Split } from "../../src/data/types.ts";
import { CONVERTED } from "../../src/platform/hub-datasets.ts";
import { setEnvironment } from "../environment.ts";
import {
  type Branches,
  commitOf,
  type DatasetServer,
  serveDatasets,
} from "../platform/dataset-server.ts";
import { referenceFormats } from "./folder.ts";
import { refusal } from "./own/files.ts";

const test = suite("hub data");

const VARIABLES = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_TOKEN",
  "HF_HUB_OFFLINE",
  "XDG_CACHE_HOME",
];
const printError = console.error;
let restore: () => void;
let home: string, warnings: string[];

test.before.each(async () => {
  home = await Deno.makeTempDir();
  restore = setEnvironment({
    ...Object.fromEntries(VARIABLES.map((name) => [name, undefined])),
    HF_HOME: home,
    XDG_CACHE_HOME: `${home}/cache`,
  });
  warnings = [];
  console.error = (line: string) => warnings.push(line);
});
test.after.each(async () => {
  console.error = printError;
  restore();
  await Deno.remove(home, { recursive: true });
});

function serve(datasets: Record<string, Branches>): DatasetServer {
  const hub = serveDatasets(datasets);
  Deno.env.set("HF_ENDPOINT", hub.endpoint);
  return hub;
}

const fixture = (path: string) =>
  Deno.readFile(new URL(`../fixtures/${path}.parquet`, import.meta.url));

/** What the splits of a task's data set are called. */
function splitsOf(name: string): string[] {
  if (name === "anli") {
    return ["train", "dev", "test"].flatMap((split) => [1, 2, 3].map((r) => `${split}_r${r}`));
  }
  if (name === "mnli") return ["train", "validation_matched", "validation_mismatched"];
  if (name === "squad" || name === "art") return ["train", "validation"];
  return ["train", "validation", "test"];
}

/** The data sets of some tasks: every other on the branch that the hub has made Parquet of. */
async function datasetsOf(names: readonly string[]): Promise<Record<string, Branches>> {
  const datasets: Record<string, Record<string, Record<string, Uint8Array>>> = {};
  const repositories = [...new Set(Object.values(hubTasks).map(({ repository }) => repository))];
  for (const name of names) {
    const { repository, configuration } = hubTasks[name];
    const isConverted = repositories.indexOf(repository) % 2 === 1;
    const branches = datasets[repository] ??= {
      main: { "README.md": new Uint8Array(3), "dataset_infos.json": new Uint8Array(4) },
    };
    const files = isConverted ? branches[CONVERTED] ??= {} : branches.main;
    const bytes = await fixture(`hub/${name === "mrqa_reg" ? "mrqa" : name}`);
    for (const split of splitsOf(name)) {
      const folder = configuration === "default" && !isConverted ? "data" : configuration;
      files[
        isConverted
          ? `${folder}/${split}/0000.parquet`
          : `${folder}/${split}-00000-of-00001.parquet`
      ] = bytes;
    }
  }
  return datasets;
}

const tokenizer = createTokenizer(
  JSON.parse(
    await Deno.readTextFile(new URL("../../models/miniature/tokenizer.json", import.meta.url)),
  ),
);

async function load(data: string, tasks: readonly string[], splits?: Split[]) {
  return await loadDatasets({
    tasks,
    data: (await builtInSource(data))!,
    chunks: { tokenizer, maxSourceLength: 64 },
    ...(splits && { splits: () => splits }),
  });
}

const names = Object.keys(hubTasks);

test("every task that is read from files has its place on the hub, with the columns that are read", () => {
  assert.equal(names.toSorted(), taskNames.filter(fileTask).toSorted());
  for (const name of formattedTaskNames) {
    const { columns } = hubTasks[name];
    for (const field of fieldsOf(name)) assert.ok(columns.includes(field), `${name}: ${field}`);
  }
});

test("every task reads its rows from the hub as the reference formats them", async () => {
  await using hub = serve(await datasetsOf(names));
  for (const { task, splits } of await load("hub", names)) {
    const { name } = task;
    const expected = referenceFormats[name];
    for (const [split, examples] of Object.entries(splits)) {
      const count = name === "anli"
        ? 3
        : name === "mrqa" || name === "mrqa_reg"
        ? split === "test" ? 2 : 3
        : 1;
      assert.is(examples.length, count, `${name} ${split}`);
      const [{ source, target }] = examples;
      if (expected?.src_texts === undefined || name.startsWith("mrqa")) continue;
      assert.equal([source, target], [expected.src_texts, expected.tgt_texts], `${name} ${split}`);
    }
  }
  assert.ok(hub.seen.length > 0);
});

test("references, and the sets of MRQA, are told apart", async () => {
  const others = ["scitldr", "mrqa_reg"];
  await using _ = serve(await datasetsOf(others));
  const [scitldr, mrqa] = await load("hub", others, ["validation", "test"]);
  const [{ source, target, references }] = scitldr.splits.validation!;
  assert.equal([source, target], ["summarize: One . Two .", "First ."]);
  assert.equal(references, ["First .", "Second ."]);
  const setsOf = (split: Split) => mrqa.splits[split]!.map(({ task }) => task);
  assert.equal(setsOf("validation"), ["NaturalQuestionsShort", "SQuAD", "TriviaQA-web"]);
  assert.equal(setsOf("test"), ["BioASQ", "DuoRC.ParaphraseRC"]);
  assert.is(
    mrqa.splits.test![0].source,
    "mrqa question: What is BioASQ ? context: The context of BioASQ .",
  );
  assert.equal(mrqa.splits.test![0].question, { id: "q-BioASQ", answers: ["Context"] });
});

test("a data set is named in part or whole, and one that is not a task's is none of its places", async () => {
  await using hub = serve(await datasetsOf(["sst2", "rte", "imdb"]));
  for (const data of ["hub:glue", "hub:nyu-mll/glue", "hub:nyu-mll/glue@main"]) {
    const [{ splits }] = await load(data, ["sst2"], ["train"]);
    assert.is(splits.train!.length, 1, data);
  }
  assert.match(
    await refusal(() => load("hub:glue", ["imdb"], ["train"])),
    /^Task imdb needs hub:glue\/imdb\/train\.jsonl/,
  );
  hub.datasets.set("me/glue", hub.datasets.get("nyu-mll/glue")!);
  assert.is((await load("hub:me/glue", ["rte"], ["train"]))[0].splits.train!.length, 1);
  assert.match(
    await refusal(() => load("hub:nyu-mll/glue", ["cola"], ["train"])),
    /^nyu-mll\/glue has no configuration cola; it has rte, sst2$/,
  );
  assert.match(await refusal(() => builtInSource("hub:a b")), /^hub:a b is no data set of the hub/);
  assert.match(
    await refusal(() => load("hub:me/imdb", ["imdb"], ["train"])),
    /^there is no data set me\/imdb at http/,
  );
});

test("what was fetched serves without a network, and as it was at its commit", async () => {
  const rows = await fixture("parquet/rows.zstd");
  const main = { "data/train-00000-of-00001.parquet": rows };
  const said = {
    data: "hub:me/towns",
    sourceColumn: "translation.en",
    targetColumn: "translation.ro",
  };
  let task, place: string;
  {
    await using _ = serve({ "me/towns": { main } });
    task = (await resolveTasks(said)).taskFile![0];
    place = `hub:me/towns@${commitOf("me/towns", "main", main)}/data/train-00000-of-00001.parquet`;
    assert.equal([task.name, task.data], ["towns", { train: [place] }]);
    const repository = `${home}/hub/datasets--me--towns`;
    const link = `${repository}/snapshots/${place.slice(13, 53)}/data/train-00000-of-00001.parquet`;
    assert.match(await Deno.readLink(link), /^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    assert.is(await Deno.readTextFile(`${repository}/refs/main`), place.slice(13, 53));
  }
  const own = { tasks: [task], files: dataFiles };
  const [{ splits }] = await loadDatasets({ tasks: ["towns"], own, splits: () => ["train"] });
  assert.is(splits.train!.length, 6);
  // The hub is gone, which is said; offline it is not asked.
  assert.equal((await resolveTasks(said)).taskFile![0], task);
  assert.match(
    warnings.join("\n"),
    /(^|\n)Warning: .* cannot be reached .*; using me\/towns as it was/,
  );
  Deno.env.set("HF_HUB_OFFLINE", "1");
  warnings = [];
  assert.equal((await resolveTasks(said)).taskFile![0], task);
  // So it is with what only Python's library has fetched.
  await Deno.remove(`${home}/cache`, { recursive: true });
  assert.equal((await resolveTasks(said)).taskFile![0], task);
  assert.not.ok(warnings.some((line) => line.startsWith("Warning")));
  assert.match(
    await refusal(() => resolveTasks({ data: "hub:me/rivers" })),
    /^me\/rivers is not in .*, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it/,
  );
});

test("one's own task may be a configuration of a data set, with splits by other names", async () => {
  const rows = await fixture("parquet/rows.snappy");
  const csv = new TextEncoder().encode("text,label\na,b\n");
  await using _ = serve({
    "me/many": {
      main: { "README.md": csv },
      [CONVERTED]: {
        "one/train/0000.parquet": rows,
        "one/train/0001.parquet": rows,
        "two/first/0000.parquet": rows,
      },
    },
    "me/text": { main: { "train.csv": csv, "test.csv": csv } },
  });
  const columns = { sourceColumn: "translation.en", targetColumn: "translation.ro" };
  const [one] = (await resolveTasks({ data: "hub:me/many/one", tasks: ["x"], ...columns }))
    .taskFile!;
  assert.is(one.data.train!.length, 2);
  // Whoever has fetched it with Python has the converted branch and no other.
  await dataFiles.open(one.data.train![0]);
  await dataFiles.open(one.data.train![1]);
  await Deno.remove(`${home}/cache`, { recursive: true });
  Deno.env.set("HF_HUB_OFFLINE", "1");
  const offline = await resolveTasks({ data: "hub:me/many/one", tasks: ["x"], ...columns });
  assert.equal(offline.taskFile, [one]);
  Deno.env.delete("HF_HUB_OFFLINE");
  assert.match(
    await refusal(() => resolveTasks({ data: "hub:me/many", tasks: ["x"] })),
    /^me\/many has several configurations: name one, as hub:me\/many\/one, among one, two$/,
  );
  assert.match(
    await refusal(() => resolveTasks({ data: "hub:me/many/two", tasks: ["x"] })),
    /^hub:me\/many\/two has the splits first: say in a task file which serves, as "splits": \{"train": "first"\}/,
  );
  const written = { name: "y", data: "hub:me/many/two", splits: { train: "first" } };
  const [two] = (await resolveTasks({ taskFile: [written], ...columns })).taskFile!;
  assert.is(two.data.train!.length, 1);
  const [text] = (await resolveTasks({ data: "mine=hub:me/text" })).taskFile!;
  assert.equal(Object.keys(text.data), ["train", "test"]);
  assert.match(
    await refusal(() => resolveTasks({ data: "hub:text", tasks: ["x"] })),
    /^there is no task "x", and for one of your own there is no .* in hub:text$/,
  );
});

test("layouts of the hub, old and new", () => {
  const layout = readLayout([
    "README.md",
    "dataset_infos.json",
    "data/train-00001-of-00002-0123456789abcdef.parquet",
    "data/train-00000-of-00002-0123456789abcdef.parquet",
    "sst2/validation-00000-of-00001.parquet",
    "3.0.0/partial-train/0000.parquet",
    "3.0.0/test.csv",
    "3.0.0/test.parquet",
  ]);
  assert.equal(
    Object.fromEntries([...layout].map(([config, splits]) => [config, Object.fromEntries(splits)])),
    {
      "3.0.0": {
        train: ["3.0.0/partial-train/0000.parquet"],
        test: ["3.0.0/test.parquet"],
      },
      default: {
        train: [
          "data/train-00000-of-00002-0123456789abcdef.parquet",
          "data/train-00001-of-00002-0123456789abcdef.parquet",
        ],
      },
      sst2: { validation: ["sst2/validation-00000-of-00001.parquet"] },
    },
  );
  assert.ok(chooseConfig(layout, undefined, "x/y").has("train"), "the default one");
});

test("docs/tasks.md has each task's place on the hub", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/tasks.md", import.meta.url));
  const section = page.slice(page.indexOf("## From the hub"));
  const rows = section.split("\n").map((row) => row.split("|").map((cell) => cell.trim()));
  for (const [name, { repository, configuration }] of Object.entries(hubTasks)) {
    if (exportedTaskNames.includes(name)) {
      const isNamed = !["default", "plain_text"].includes(configuration);
      const dataset = isNamed ? `"${repository}", "${configuration}"` : `"${repository}"`;
      assert.is(exportedDataset(name), dataset, name);
      continue; // the page's table of these is held against that name by a test of its own
    }
    const [, , dataset, config] = rows.find(([, tasks, , config]) =>
      config !== undefined && tasks.includes(`\`${name}\``)
    )!;
    const shown = config === "of the task's name" ? name : config.replaceAll("`", "");
    assert.equal([dataset, shown], [`\`${repository}\``, configuration], name);
  }
});

test.run();
