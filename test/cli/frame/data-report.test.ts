/** What is said of the files that were read. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describeRead } from "../../../cli/frame/data-report.ts";
import { loadDatasets, type TaskFiles } from "../../../src/data/tasks.ts";
import { folder } from "../../data/folder.ts";

const test = suite("data report");

test("a line says what was read of a task, from where, and what was left out", async () => {
  const row = (label: number) => `${JSON.stringify({ premise: "A", hypothesis: "B", label })}\n`;
  const said: TaskFiles[] = [];
  await loadDatasets({
    tasks: ["snli", "mnli", "sentiment"],
    data: folder({
      "snli/train.jsonl": row(1).repeat(1200) + row(-1) + "{\n".repeat(7),
      "MNLI/train.jsonl": row(0),
      "MNLI/train_10k.jsonl": row(0),
      "MNLI/dev_matched.jsonl": row(2),
    }),
    splits: (task) => task === "snli" ? ["train"] : ["train", "validation", "test"],
    skipBad: true,
    onRead: (read) => said.push(read),
  });
  assert.equal(said.map(describeRead), [
    "Read snli in data: 1,200 train from snli/train.jsonl (7 bad left out: line 1202 (not JSON), " +
    "line 1203 (not JSON), line 1204 (not JSON), line 1205 (not JSON), line 1206 (not JSON) and 2 more; " +
    "1 without a label left out)",
    "Read mnli in data: 1 train from MNLI/train.jsonl (not from MNLI/train_10k.jsonl), " +
    "1 validation and test from MNLI/dev_matched.jsonl",
  ]);
});

test("of several folders each file is named with its own", async () => {
  const row = (label: number) => `${JSON.stringify({ premise: "A", hypothesis: "B", label })}\n`;
  const named = (root: string, files: Record<string, string>) => ({ ...folder(files), root });
  const parts = [
    named("one", { "snli/train.jsonl": row(1) }),
    named("two", { "snli/train.jsonl": row(1), "snli/test.jsonl": row(0), "art/dev.jsonl": "[]" }),
  ];
  const data = {
    root: "one or two",
    parts,
    exists: () => Promise.reject(new Error("not wanted")),
    stream: () => Promise.reject(new Error("not wanted")),
  };
  const said: TaskFiles[] = [];
  const request = { data, onRead: (read: TaskFiles) => said.push(read) };
  await loadDatasets({ ...request, tasks: ["snli"], splits: () => ["train", "test"] });
  assert.equal(said.map(describeRead), [
    "Read snli: 1 train from one/snli/train.jsonl (not from two/snli/train.jsonl), " +
    "1 test from two/snli/test.jsonl",
  ]);
  const error = await loadDatasets({ ...request, tasks: ["art"], splits: () => ["test"] })
    .then(() => undefined, (error) => error);
  assert.match(error.message, /^two\/art\/dev\.jsonl:1: expected a JSON object/);
});

test.run();
