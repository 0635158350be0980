import { suite } from "uvu";
import * as assert from "uvu/assert";
import { benchMarkdown, type BenchReport, benchText } from "../../cli/frame/bench-report.ts";
import { benchCommand } from "../../cli/bench.ts";
import { startTorch } from "../../cli/frame/torch.ts";
import { small } from "../../src/bench/subjects.ts";

const test = suite("cli/bench");

const milliseconds = { median: 12.345, least: 9, most: 1234.5 };
const timing = { wall: milliseconds, cpu: { median: 6, least: 5, most: 7 } };
const batch = { batchSize: 2, sourceLength: 8, targetLength: 4 };
const ratio = { median: 1.5, least: 1.25, most: 2 };
const census = { dispatches: 7, submits: 1, readbacks: 1, peakBytes: 2 ** 20 };
const report: BenchReport = {
  adapter: "an adapter",
  runtime: "a runtime",
  tuned: false,
  kernels: {
    ceilings: { gigaflops: 61.23, gigabytes: 4 },
    cases: [{ name: "a kernel", timing, gigaflops: 15.3, gigabytes: 0.0123, share: 0.25 }],
  },
  attention: {
    comparisons: [],
    memory: [{
      name: "a way",
      lengths: [128, 256, 512],
      bytes: [2, 4, 16].map((n) => n * 2 ** 20),
    }],
  },
  train: [{
    name: "a model",
    batch,
    timing,
    tokensPerSecond: 1827.4,
    memory: {
      workspaceBytes: 3 * 2 ** 20,
      lowerBoundBytes: 2 * 2 ** 20,
      parameterBytes: 2 ** 20,
      optimizerBytes: 2 ** 19,
    },
    dispatches: 55,
    kernels: [{ label: "matmul: x", milliseconds: 2, flops: 4e6, bytes: 2e6 }],
  }],
  generate: [{
    name: "a model",
    batch,
    timing,
    firstToken: timing,
    tokensPerSecond: 86,
    dispatchesPerToken: 94,
    readbacks: 4,
  }],
  load: { bytes: 1e8, milliseconds, megabytesPerSecond: 200, peakHostBytes: 5e7 },
  tuning: [{ name: "a model", seconds: 12.345, classes: 50, changed: 3, comparisons: [] }],
  peers: [{
    work: "a product",
    peer: "a peer",
    ours: milliseconds,
    theirs: milliseconds,
    ratio,
    cpuRatio: ratio,
    counts: { ours: census, theirs: { ...census, dispatches: 9, peakBytes: 3 * 2 ** 20 } },
  }],
  torch: [{
    work: "a step",
    peer: "PyTorch",
    ours: milliseconds,
    theirs: milliseconds,
    ratio,
    counts: {
      ours: census,
      theirs: { dispatches: 0, submits: 0, readbacks: 0, peakBytes: 0 },
    },
  }],
};

test("text: a table for everything that was measured", () => {
  const lines = benchText(report).split("\n").map((line) => line.replace(/ {2,}/g, "  ").trim());
  const spread = "12.3  9.00–1235";
  assert.ok(lines.includes("a way  2.0  4.0  16.0  × 2.00, × 4.00"));
  assert.ok(lines.includes("a model  50  3  12.3"));
  assert.ok(
    lines.includes("Kernels, against 61.2 GFLOP/s and 4.00 GB/s at best"),
  );
  assert.ok(lines.includes(`a kernel  ${spread}  6.00  15.3  0.0123  25 %`));
  assert.ok(
    lines.includes(`a model  2 × 8 → 4  ${spread}  6.00  1827  55  1.0  0.5  3.0  2.0  1.500`),
  );
  assert.ok(lines.includes("matmul: x  1  2.00  100.0 %  2.00  1.00"));
  assert.ok(lines.includes(`a model  2 × 8 → 4  ${spread}  6.00  86  ${spread}  6.00  94.0  4`));
  assert.ok(lines.includes("100  0.0123  0.00900–1.23  200  50"));
  const times = `${spread}  ${spread}  1.50  1.25–2.00`;
  assert.ok(lines.includes(`a product  a peer  ${times}  1.50  1.25–2.00  7 / 9  1.0 / ≥ 3.0`));
  assert.ok(lines.includes(`a step  PyTorch  ${times}  7 / –  1.0 / –`));
});

test("Markdown: the same, with the machine", () => {
  const markdown = benchMarkdown(report);
  assert.match(markdown, "\nMeasured on an adapter, with a runtime; kernels chosen by estimate.\n");
  assert.match(markdown, "\n| a kernel | 12.3 | 9.00–1235 | 6.00 | 15.3 | 0.0123 | 25 % |\n");
  assert.match(markdown, /\n### Where the time goes: a model\n\n```text\nkernel +calls/);
  for (const row of markdown.split("\n").filter((line) => line.startsWith("| ---"))) {
    assert.match(row, /^\| ---( \| ---:)+ \|$/);
  }
});

test("only what was measured has a table", () => {
  const { adapter, runtime, tuned, generate } = report;
  const markdown = benchMarkdown({ adapter, runtime, tuned, generate: generate! });
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
    /'kernel' is invalid for argument 'sections'.*kernels, attention, train, generate, load, tuning/,
  );
  assert.is(await refusal("--checkpoint", "5"), "--checkpoint is 5: give megabytes, from 20 on");
  assert.is(
    await refusal("--out", "nowhere/x.md"),
    "cannot write nowhere/x.md: there is no directory nowhere",
  );
});

test("without Python, without PyTorch, or with one that errs, one sentence says so", async () => {
  const path = Deno.env.get("PATH")!;
  const directory = await Deno.makeTempDir();
  const refusal = () => startTorch(small).then(() => "started", (error) => error.message);
  try {
    Deno.env.set("PATH", directory);
    assert.is(await refusal(), "--torch needs Python: there is no python3 on the PATH");
    await Deno.writeTextFile(`${directory}/python3`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    assert.is(
      await refusal(),
      "--torch needs PyTorch: python3 has no module torch; pip install torch",
    );
    const checks = '#!/bin/sh\nif [ "$1" != -c ]; then echo "logits: 1"; exit 1; fi\n';
    await Deno.writeTextFile(`${directory}/python3`, checks, { mode: 0o755 });
    assert.match(
      await refusal(),
      /^this PyTorch does not compute what the reference implementation does.*: logits: 1$/,
    );
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(directory, { recursive: true });
  }
});

test.run();
