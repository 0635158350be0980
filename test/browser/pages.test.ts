/** GPU, graph and optimisers tested again in a page of headless Chromium, a test per test file. */
import { stripVTControlCharacters } from "node:util";
import { suite } from "uvu";
import { hasChromium } from "../../src/platform/swiftshader.ts";
import { choice } from "../choice.ts";
import { testFiles } from "../files.ts";
import type { SuiteResult } from "../suites.ts";
import { bundle } from "./bundle.ts";
import { type Browser, launchChromium, type Page } from "./chromium.ts";

// WebGPU is there in secure contexts only; nothing is fetched from this host.
const ORIGIN = "https://hyperdecoder.test/";

/** Hundreds of pipelines each, which are compiled for the machine's own adapter, too: left to exhaustive runs. */
const LONG = ["adapter", "attention", "matmul-kernel", "sample-step"].map((name) =>
  `graph/ops/${name}.test.ts`
);

const paths = (await testFiles()).filter((path) => /^(gpu|graph|optim)\//.test(path));
let browser: Browser | undefined;
let page: Promise<Page> | undefined;

async function openPage(): Promise<Page> {
  const script = await bundle(paths);
  browser = await launchChromium();
  const page = await browser.newPage();
  await page.route(`${ORIGIN}**`, (route) => {
    // Inline scripts would have to escape "</script>".
    route.fulfill({ contentType: "text/html", body: "<!doctype html><title>tests</title>" });
  });
  await page.route(`${ORIGIN}bundle.js`, (route) => {
    route.fulfill({ contentType: "text/javascript", body: script });
  });
  await page.goto(ORIGIN);
  await page.evaluate(async ({ url, exhaustive }) => {
    Object.assign(globalThis, { testChoice: { exhaustive, only: "" } });
    await import(url);
  }, { url: `${ORIGIN}bundle.js`, exhaustive: choice.exhaustive });
  return page;
}

async function runInPage(path: string): Promise<void> {
  const results = await (await (page ??= openPage())).evaluate((path) => {
    return (globalThis as unknown as PageGlobals).runTestFile(path);
  }, path);
  const failures = results.map(({ failures }) => stripVTControlCharacters(failures)).join("\n");
  // The traces of the page are in it; one of this function tells nothing.
  if (results.some(({ failed }) => failed)) throw Object.assign(new Error(failures), { stack: "" });
}

interface PageGlobals {
  runTestFile(path: string): Promise<SuiteResult[]>;
}

// A suite per file: the runner hears of each as it ends, and so knows that nothing hangs.
for (const [i, path] of paths.entries()) {
  const test = suite(`in Chromium: ${path}`);
  const tried = LONG.includes(path) ? test.exhaustive : test;
  if (hasChromium()) tried(path, () => runInPage(path));
  else test.skip(path, "npm has no headless Chromium for this system");
  if (i === paths.length - 1) test.after(() => browser?.close());
  test.run();
}
