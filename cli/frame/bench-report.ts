/** What was measured as tables: aligned text for a terminal, Markdown for a file. */

import type { Ceilings } from "../../src/bench/ceilings.ts";
import type { GenerationResult } from "../../src/bench/generation.ts";
import type { BatchShape } from "../../src/bench/inputs.ts";
import type { Comparison } from "../../src/bench/jax.ts";
import type { KernelResult } from "../../src/bench/kernels.ts";
import type { Spread } from "../../src/bench/measure.ts";
import type { TrainingResult } from "../../src/bench/training.ts";
import { profileTable } from "./profile.ts";
import { table } from "./table.ts";

/** Whatever was measured. */
export interface BenchReport {
  /** The adapter and what it offers. */
  readonly adapter: string;
  /** Deno's version and the system. */
  readonly runtime: string;
  readonly kernels?: { readonly ceilings: Ceilings; readonly cases: readonly KernelResult[] };
  readonly train?: TrainingResult;
  readonly generate?: readonly GenerationResult[];
  readonly peers?: readonly Comparison[];
}

interface Section {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** A further table, wide and long, as aligned text. */
  readonly detail?: string;
}

/** The tables for a terminal. */
export function benchText(report: BenchReport): string {
  return sectionsOf(report)
    .map(({ title, head, rows, detail }) =>
      [title, table(head, rows), detail].filter(Boolean).join("\n\n")
    )
    .join("\n\n");
}

/** The same as a Markdown file. */
export function benchMarkdown(report: BenchReport): string {
  const sections = sectionsOf(report).map(({ title, head, rows, detail }) => {
    const lines = [head, head.map((_, i) => i === 0 ? "---" : "---:"), ...rows];
    const markdown = lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
    const fenced = detail && `\`\`\`text\n${detail}\n\`\`\``;
    return [`## ${title}`, markdown, fenced].filter(Boolean).join("\n\n");
  });
  const machine = `Measured on ${report.adapter}, with ${report.runtime}.`;
  return `${["# Benchmarks", machine, ...sections].join("\n\n")}\n`;
}

function sectionsOf({ kernels, train, generate, peers }: BenchReport): Section[] {
  return [
    ...kernels ? [kernelSection(kernels)] : [],
    ...train ? [trainSection(train)] : [],
    ...generate ? [generateSection(generate)] : [],
    ...peers ? [peerSection(peers)] : [],
  ];
}

function kernelSection({ ceilings, cases }: NonNullable<BenchReport["kernels"]>): Section {
  const { gigaflops, gigabytes } = ceilings;
  return {
    title: `Kernels, against ${rounded(gigaflops)} GFLOP/s and ${rounded(gigabytes)} GB/s at best`,
    head: ["kernel", "ms", "spread", "GFLOP/s", "GB/s", "of ceiling"],
    rows: cases.map((result) => [
      result.name,
      rounded(result.milliseconds.median),
      extremes(result.milliseconds),
      rounded(result.gigaflops),
      rounded(result.gigabytes),
      `${(100 * result.share).toFixed(0)} %`,
    ]),
  };
}

function trainSection(result: TrainingResult): Section {
  const { batch, milliseconds, tokensPerSecond, workspaceBytes, kernels } = result;
  return {
    title: "A training step of the embedded model's adapters",
    head: ["batch", "ms", "spread", "tokens/s", "workspace MiB", "dispatches"],
    rows: [[
      rectangle(batch),
      rounded(milliseconds.median),
      extremes(milliseconds),
      tokensPerSecond.toFixed(0),
      (workspaceBytes / 2 ** 20).toFixed(1),
      kernels.length > 0 ? String(kernels.length) : "–",
    ]],
    ...kernels.length > 0 && { detail: profileTable(kernels) },
  };
}

function generateSection(results: readonly GenerationResult[]): Section {
  return {
    title: "Greedy decoding with the embedded model",
    head: ["batch", "ms", "spread", "tokens/s"],
    rows: results.map(({ batch, milliseconds, tokensPerSecond }) => [
      rectangle(batch),
      rounded(milliseconds.median),
      extremes(milliseconds),
      tokensPerSecond.toFixed(0),
    ]),
  };
}

function peerSection(comparisons: readonly Comparison[]): Section {
  return {
    title: "Beside jax-js, in turns",
    head: ["work", "ms here", "spread", "ms in jax-js", "spread", "times as fast", "spread"],
    rows: comparisons.map(({ work, ours, theirs, ratio }) => [
      work,
      ...[ours, theirs, ratio].flatMap((values) => [rounded(values.median), extremes(values)]),
    ]),
  };
}

const rectangle = ({ batchSize, sourceLength, targetLength }: BatchShape) =>
  `${batchSize} × ${sourceLength} → ${targetLength}`;

const extremes = ({ least, most }: Spread) => `${rounded(least)}–${rounded(most)}`;

/** Three digits that count. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
