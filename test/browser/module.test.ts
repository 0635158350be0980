/** The module for pages, as a page uses it: loaded from one file, it trains a model in the tab. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasChromium } from "../../src/platform/swiftshader.ts";
import { tinyConfig } from "../train/tiny-model.ts";
import { type Browser, launchChromium, type Page } from "./chromium.ts";

const test = suite("the module in a page");

const ROOT = new URL("../../", import.meta.url);
const MODULE = new URL("dist/hyperdecoder.js", ROOT);

// WebGPU is there in secure contexts only; nothing is fetched from this host.
const ORIGIN = "https://hyperdecoder.test/";

/** What the page is given: what it would fetch. */
interface Given {
  readonly module: string;
  readonly tokenizer: unknown;
  readonly config: Record<string, unknown>;
}

/** What the page posts back. */
interface Posted {
  readonly adapter: string;
  /** Per target token, update by update. */
  readonly losses: readonly number[];
  readonly answer: readonly number[];
}

let browser: Browser | undefined;

/** Makes the module by the task that users have for it. */
async function bundleModule(): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "bundle"],
    cwd: ROOT.pathname,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.ok(success, `deno task bundle failed: ${new TextDecoder().decode(stderr)}`);
  return await Deno.readTextFile(MODULE);
}

async function openPage(module: string): Promise<Page> {
  browser = await launchChromium();
  const page = await browser.newPage();
  await page.route(`${ORIGIN}**`, (route) => {
    route.fulfill({ contentType: "text/html", body: "<!doctype html><title>a page</title>" });
  });
  await page.route(`${ORIGIN}hyperdecoder.js`, (route) => {
    route.fulfill({ contentType: "text/javascript", body: module });
  });
  await page.goto(ORIGIN);
  return page;
}

/** Runs in the page, so it can use nothing of this file but types. */
async function trainInPage({ module, tokenizer, config: fields }: Given): Promise<Posted> {
  const hyperdecoder: typeof import("../../src/mod.ts") = await import(module);
  const gpu = await hyperdecoder.acquireDevice();
  if (!gpu) throw new Error("The page has no WebGPU adapter.");

  const config = hyperdecoder.parseConfig(fields, "config.json");
  const inventory = hyperdecoder.parameterInventory(config);
  const parameters = new hyperdecoder.Parameters(
    gpu,
    inventory.map(({ name, shape }) => ({ name, shape, trainable: true })),
  );
  for (const parameter of inventory) {
    parameters.write(parameter.name, hyperdecoder.drawParameter(parameter, 0));
  }

  const mixture = new hyperdecoder.Mixture(hyperdecoder.miniatureDatasets(), { seed: 0 });
  const batches = new hyperdecoder.TrainingBatches(
    mixture,
    hyperdecoder.createTokenizer(tokenizer),
    { batchSize: 8, maxSourceLength: 32, maxTargetLength: 4 },
  );
  const step = new hyperdecoder.TrainingStep(
    config,
    parameters,
    new hyperdecoder.AdamW(parameters, { maxNorm: 1 }),
    { labelSmoothing: 0, dropoutRate: 0, accumulate: 1, seed: 0 },
  );
  const updates = 16;
  for (let i = 0; i < updates; i++) {
    await step.run([batches.batch(i)], i, { learningRate: 0.02 });
  }
  const records = await step.readLog(0, updates);
  const generator = new hyperdecoder.SequenceGenerator(config, parameters);
  const [[answer]] = await generator.generate(batches.batch(0), { maxLength: 5 });
  return {
    adapter: gpu.adapterName,
    losses: records.map(({ loss, targetTokens }) => loss / targetTokens),
    answer: answer.tokens,
  };
}

if (hasChromium()) {
  test("trains a model, and the model answers", async () => {
    const page = await openPage(await bundleModule());
    const { adapter, losses, answer } = await page.evaluate(trainInPage, {
      module: `${ORIGIN}hyperdecoder.js`,
      tokenizer: JSON.parse(
        await Deno.readTextFile(new URL("models/miniature/tokenizer.json", ROOT)),
      ),
      config: { ...tinyConfig, encoder_adapter: "manual", decoder_adapter: "generated" },
    });
    assert.ok(adapter.length > 0);
    const text = losses.map((loss) => loss.toFixed(2)).join(" ");
    const mean = (part: readonly number[]) => part.reduce((a, b) => a + b, 0) / part.length;
    assert.ok(mean(losses.slice(-4)) < 0.8 * mean(losses.slice(0, 2)), `the losses are ${text}`);
    assert.ok(
      answer.length <= 4 && answer.every((id) => Number.isInteger(id) && id > 1),
      `the answer is ${answer}`,
    );
  });
  test.after(() => browser?.close());
} else {
  test.skip(
    "trains a model, and the model answers",
    "npm has no headless Chromium for this system",
  );
}
test.run();
