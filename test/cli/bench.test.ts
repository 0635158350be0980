import { suite } from "uvu";
import * as assert from "uvu/assert";
import { benchMarkdown, type BenchReport, benchText } from "../../cli/frame/bench-report.ts";
import { benchCommand } from "../../cli/bench.ts";

const test = suite("cli/bench");

const milliseconds = { median: 12.345, least: 9, most: 1234.5 };
const batch = { batchSize: 2, sourceLength: 8, targetLength: 4 };
const report: BenchReport = {
  adapter: "an adapter",
  runtime: "a runtime",
  kernels: {
    ceilings: { gigaflops: 61.23, gigabytes: 4 },
    cases: [{ name: "a kernel", milliseconds, gigaflops: 15.3, gigabytes: 0.0123, share: 0.25 }],
  },
  train: {
    batch,
    milliseconds,
    tokensPerSecond: 1827.4,
    workspaceBytes: 3 * 2 ** 20,
    kernels: [{ label: "matmul: x", milliseconds: 2, flops: 4e6, bytes: 2e6 }],
  },
  generate: [{ batch, milliseconds, tokensPerSecond: 86 }],
  peers: [{
    work: "a product",
    ours: milliseconds,
    theirs: milliseconds,
    ratio: { median: 1.5, least: 1.25, most: 2 },
  }],
};

test("text: a table for everything that was measured", () => {
  const lines = benchText(report).split("\n").map((line) => line.replace(/ {2,}/g, "  ").trim());
  assert.ok(lines.includes("Kernels, against 61.2 GFLOP/s and 4.00 GB/s at best"));
  assert.ok(lines.includes("a kernel  12.3  9.00–1235  15.3  0.0123  25 %"));
  assert.ok(lines.includes("2 × 8 → 4  12.3  9.00–1235  1827  3.0  1"));
  assert.ok(lines.includes("matmul: x  1  2.00  100.0 %  2.00  1.00"));
  assert.ok(lines.includes("a product  12.3  9.00–1235  12.3  9.00–1235  1.50  1.25–2.00"));
});

test("Markdown: the same, with the machine", () => {
  const markdown = benchMarkdown(report);
  assert.match(markdown, "\nMeasured on an adapter, with a runtime.\n");
  assert.match(markdown, "\n| a kernel | 12.3 | 9.00–1235 | 15.3 | 0.0123 | 25 % |\n");
  assert.match(markdown, /\n```text\nkernel +calls/);
  for (const row of markdown.split("\n").filter((line) => line.startsWith("| ---"))) {
    assert.match(row, /^\| ---( \| ---:)+ \|$/);
  }
});

test("only what was measured has a table", () => {
  const { adapter, runtime, generate } = report;
  const markdown = benchMarkdown({ adapter, runtime, generate: generate! });
  assert.is(markdown.match(/^## /gm)?.length, 1);
});

test("what cannot be done is refused before anything is measured", async () => {
  const refusal = async (...args: string[]): Promise<string> => {
    const command = benchCommand().exitOverride().configureOutput({ outputError: () => {} });
    return await command.parseAsync(args, { from: "user" })
      .then(() => "accepted", (error) => error.message);
  };
  assert.match(
    await refusal("kernel"),
    /'kernel' is invalid for argument 'sections'.*kernels, train, generate/,
  );
  assert.is(
    await refusal("--out", "nowhere/x.md"),
    "cannot write nowhere/x.md: there is no directory nowhere",
  );
});

test.run();
