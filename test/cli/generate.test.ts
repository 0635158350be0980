/** `deno task generate` as a person or a script calls it, with a model of random weights. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { generateCommand } from "../../cli/generate.ts";
import { parseConfig } from "../../models/config.ts";
import { parameterInventory } from "../../models/inventory.ts";
import { UserError } from "../../src/errors.ts";
import { fromFloat32 } from "../../src/io/safetensors.ts";
import { drawParameter } from "../../src/train/initialise.ts";
import { tinyConfig, writeTinyModel } from "../train/tiny-model.ts";

const test = suite("cli/generate");

const script = new URL("../../cli/generate.ts", import.meta.url).pathname;
const model = await Deno.makeTempDir();
await writeTinyModel(model);

/** What the command prints, given some lines on the standard input or none. */
async function generate(args: string[], lines?: string, said: string[] = []): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--model", model, "--max-length", "6", ...args],
    stdin: lines === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const process = command.spawn();
  if (lines !== undefined) {
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(lines));
    await writer.close();
  }
  const { code, stdout, stderr } = await process.output();
  said.push(new TextDecoder().decode(stderr));
  assert.is(code, 0, said.at(-1));
  return new TextDecoder().decode(stdout);
}

test("a text is answered as it comes; the same with --json, with its likelihood", async () => {
  const text = "acceptability sentence: The actors sang.";
  const streamed = await generate([text]);
  const described = JSON.parse(await generate([text, "--json"]));
  assert.is(described.source, text);
  assert.is(streamed, `${described.outputs[0].text}\n`);
  assert.ok(described.outputs[0].logLikelihood < 0);
});

test("each line of the standard input is answered, in order, whatever the batch", async () => {
  const lines = [
    "The actors sang.",
    "",
    "A much longer line than the others, with many words.",
    "No",
  ];
  const one = await generate(["--batch-size", "1", "--sample", "--seed", "5"], lines.join("\n"));
  const all = await generate(["--sample", "--seed", "5"], `${lines.join("\r\n")}\r\n`);
  assert.is(all, one);
  assert.is(all.trimEnd().split("\n").length, 4);
});

test("several answers, with their scores", async () => {
  const printed = await generate([
    "The actors sang.",
    "--beams",
    "3",
    "--outputs",
    "2",
    "--scores",
  ]);
  const scores = printed.trimEnd().split("\n").map((line) => {
    const [score, logLikelihood] = line.split("\t").map(Number);
    assert.ok(logLikelihood < score && score < 0, line);
    return score;
  });
  assert.is(scores.length, 2);
  assert.ok(scores[0] >= scores[1]);
});

/** The one sentence with which the command refuses its arguments. */
async function refusal(...args: string[]): Promise<string> {
  const command = generateCommand().exitOverride().configureOutput({ outputError: () => {} });
  const error = await command.parseAsync(["text", "--model", model, ...args], { from: "user" })
    .then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  return error.message;
}

test("flags that do not go together are refused before anything is loaded", async () => {
  assert.match(await refusal("--top-k", "3"), /belong to --sample/);
  assert.match(await refusal("--beams", "2", "--sample"), /cannot be combined/);
  assert.match(await refusal("--outputs", "2"), /greedy choice has one result/);
  assert.match(
    await refusal("--min-length", "9", "--max-length", "3"),
    /^--min-length 9 is more than .* 3$/,
  );
});

test("what the model's generation_config.json says is honoured, flags win, and that is said", async () => {
  const file = `${model}/generation_config.json`;
  const text = "The actors sang.";
  const plain = JSON.parse(await generate([text, "--json"]));
  const beams = await generate([text, "--beams", "3", "--length-penalty", "2", "--json"]);
  await Deno.writeTextFile(
    file,
    JSON.stringify({ num_beams: 3, length_penalty: 2, max_length: 40 }),
  );
  const said: string[] = [];
  assert.is(await generate([text, "--json"], undefined, said), beams);
  assert.match(
    said.join(""),
    /Generation: 3 beams, length penalty 2 \(from .*generation_config.json\)/,
  );
  const without = [["--generation-config", "none"], ["--beams", "1"]];
  for (const flags of without) {
    assert.equal(JSON.parse(await generate([text, "--json", ...flags])), plain);
  }
  await Deno.writeTextFile(file, JSON.stringify({ guidance_scale: 2 }));
  assert.match(await refusal(), /"guidance_scale" is 2, which is not supported/);
  await Deno.remove(file);
});

test("a model with adapters by task asks for the task", async () => {
  const fields = { ...tinyConfig, encoder_adapter: "task", tasks: ["rte", "sst2"] };
  const config = parseConfig(fields, "config.json");
  const tensors = parameterInventory(config).map((parameter) =>
    [parameter.name, fromFloat32(drawParameter(parameter, 1), parameter.shape)] as const
  );
  await writeTinyModel(model, fields, new Map(tensors));
  assert.match(await refusal(), /say with --task which of rte, sst2$/);
  assert.match(await refusal("--task", "rte2"), /no adapter for the task "rte2"/);
  assert.match(await generate(["Some text.", "--task", "rte"]), /\n$/);
});

test.after(() => Deno.remove(model, { recursive: true }));
test.run();
