import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findModel, modelName } from "../../../cli/frame/places.ts";
import { UserError } from "../../../src/errors.ts";
import { setEnvironment } from "../../environment.ts";
import { type HubServer, serveHub } from "../../platform/hub-server.ts";

const config = JSON.stringify({
  model_type: "t5",
  vocab_size: 50,
  d_model: 16,
  d_kv: 8,
  d_ff: 32,
  num_heads: 2,
  num_layers: 1,
});

const test = suite<{ home: string; hub: HubServer; restore: () => void }>("places");

test.before.each(async (context) => {
  context.home = await Deno.makeTempDir();
  context.hub = serveHub({
    "config.json": config,
    "tokenizer.json": "{}",
    "model.safetensors": new Uint8Array(5000),
  });
  const variables = {
    HF_HUB_CACHE: context.home,
    HF_ENDPOINT: context.hub.endpoint,
    HF_TOKEN: "none",
  };
  context.restore = setEnvironment(variables);
});

test.after.each(async ({ home, hub, restore }) => {
  restore();
  await hub[Symbol.asyncDispose]();
  await Deno.remove(home, { recursive: true });
});

test("a name like a hub id is a model of the hub, and keeps that name", async () => {
  const source = await findModel("org/tiny");
  assert.is(source.location, "org/tiny");
  assert.is(await modelName("org/tiny"), "org/tiny");
  assert.is(new TextDecoder().decode(await source.read("config.json")), config);
  assert.is((await source.open("model.safetensors")).size, 5000);
});

test("a directory comes before the hub", async ({ home, hub }) => {
  const before = process.cwd();
  process.chdir(home); // unlike Deno.chdir, node:path learns of it
  try {
    await Deno.mkdir("org/tiny", { recursive: true });
    await Deno.writeTextFile("org/tiny/config.json", "{}");
    const source = await findModel("org/tiny");
    assert.is(new TextDecoder().decode(await source.read("config.json")), "{}");
    assert.is(await modelName("org/tiny"), `${Deno.cwd()}/org/tiny`);
    assert.equal(hub.seen, []);
  } finally {
    process.chdir(before);
  }
});

test("what is neither is said to be neither", async () => {
  let message = "";
  await findModel("runs/mistyped").catch((error) => {
    assert.instance(error, UserError);
    message = error.message;
  });
  assert.match(message, /^there is no directory runs\/mistyped, and there is no model runs\/mist/);
});

test.run();
