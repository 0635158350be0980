/** What was measured as tables: aligned text for a terminal, Markdown for a file. */

import type { AttentionResult, MemoryByLength } from "../../src/bench/attention/attention.ts";
import type { Ceilings } from "../../src/bench/ceilings.ts";
import type { GenerationResult } from "../../src/bench/generation.ts";
import type { BatchShape } from "../../src/bench/inputs.ts";
import type { KernelResult } from "../../src/bench/kernels.ts";
import type { LoadingResult } from "../../src/bench/loading.ts";
import type { Spread, Timing } from "../../src/bench/measure.ts";
import type { Comparison } from "../../src/bench/peers/comparison.ts";
import type { TrainingResult } from "../../src/bench/training.ts";
import type { TuningResult } from "../../src/bench/tuning.ts";
import { profileTable } from "./profile.ts";
import { table } from "./table.ts";

/** Whatever was measured. */
export interface BenchReport {
  /** The adapter and what it offers. */
  readonly adapter: string;
  /** Deno's version and the system. */
  readonly runtime: string;
  /** Whether kernels were chosen by measuring them. */
  readonly tuned: boolean;
  readonly kernels?: { readonly ceilings: Ceilings; readonly cases: readonly KernelResult[] };
  readonly attention?: AttentionResult;
  readonly train?: readonly TrainingResult[];
  readonly generate?: readonly GenerationResult[];
  readonly load?: LoadingResult;
  readonly tuning?: readonly TuningResult[];
  readonly peers?: readonly Comparison[];
  readonly torch?: readonly Comparison[];
}

interface Section {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Further tables, wide and long, as aligned text under titles of their own. */
  readonly details?: readonly { readonly title: string; readonly text: string }[];
}

/** The tables for a terminal. */
export function benchText(report: BenchReport): string {
  return sectionsOf(report)
    .flatMap(({ title, head, rows, details = [] }) => [
      title,
      table(head, rows),
      ...details.flatMap(({ title, text }) => [title, text]),
    ])
    .join("\n\n");
}

/** The same as a Markdown file. */
export function benchMarkdown(report: BenchReport): string {
  const sections = sectionsOf(report).flatMap(({ title, head, rows, details = [] }) => {
    const lines = [head, head.map((_, i) => i === 0 ? "---" : "---:"), ...rows];
    return [
      `## ${title}`,
      lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n"),
      ...details.flatMap(({ title, text }) => [`### ${title}`, `\`\`\`text\n${text}\n\`\`\``]),
    ];
  });
  const choice = report.tuned ? "by measuring them" : "by estimate";
  const machine =
    `Measured on ${report.adapter}, with ${report.runtime}; kernels chosen ${choice}.`;
  return `${["# Benchmarks", machine, ...sections].join("\n\n")}\n`;
}

function sectionsOf(report: BenchReport): Section[] {
  const { kernels, attention, train, generate, load, tuning, peers, torch } = report;
  return [
    ...kernels ? [kernelSection(kernels)] : [],
    ...attention ? attentionSections(attention) : [],
    ...train ? [trainSection(train)] : [],
    ...generate ? [generateSection(generate)] : [],
    ...load ? [loadSection(load)] : [],
    ...tuning ? tuningSections(tuning) : [],
    ...peers?.length ? [peerSection("Beside other WebGPU frameworks, in turns", peers)] : [],
    ...torch ? [peerSection("Beside PyTorch, in turns", torch)] : [],
  ];
}

function kernelSection({ ceilings, cases }: NonNullable<BenchReport["kernels"]>): Section {
  const { gigaflops, gigabytes } = ceilings;
  const { head, cells } = timeColumns("ms", cases.map(({ timing }) => timing));
  return {
    title: `Kernels, against ${rounded(gigaflops)} GFLOP/s and ${rounded(gigabytes)} GB/s at best`,
    head: ["kernel", ...head, "GFLOP/s", "GB/s", "of ceiling"],
    rows: cases.map((result, i) => [
      result.name,
      ...cells[i],
      rounded(result.gigaflops),
      rounded(result.gigabytes),
      `${(100 * result.share).toFixed(0)} %`,
    ]),
  };
}

function attentionSections({ comparisons, memory }: AttentionResult): Section[] {
  const [{ lengths }] = memory;
  return [
    peerSection("Attention, in turns", comparisons),
    {
      title: "Attention's peak memory, forward + backward",
      head: ["MiB at length", ...lengths.map(String), "growth with each doubling"],
      rows: memory.map(({ name, bytes }) => [name, ...bytes.map(mebibytes), growth({ bytes })]),
    },
  ];
}

/** By how much each number is larger than the one before. */
const growth = ({ bytes }: Pick<MemoryByLength, "bytes">) =>
  bytes.slice(1).map((later, i) => `× ${(later / bytes[i]).toFixed(2)}`).join(", ");

function trainSection(results: readonly TrainingResult[]): Section {
  const { head, cells } = timeColumns("ms", results.map(({ timing }) => timing));
  return {
    title: "Training steps: forward, backward, clipping and AdamW",
    head: [
      "model",
      "batch",
      ...head,
      "tokens/s",
      "dispatches",
      "MiB: weights",
      "optimiser",
      "workspace",
      "its least",
      "workspace / least",
    ],
    rows: results.map(({ name, batch, tokensPerSecond, dispatches, memory }, i) => [
      name,
      rectangle(batch),
      ...cells[i],
      tokensPerSecond.toFixed(0),
      String(dispatches),
      mebibytes(memory.parameterBytes),
      mebibytes(memory.optimizerBytes),
      mebibytes(memory.workspaceBytes),
      mebibytes(memory.lowerBoundBytes),
      (memory.workspaceBytes / memory.lowerBoundBytes).toFixed(3),
    ]),
    details: results.filter(({ kernels }) => kernels.length > 0).map(({ name, kernels }) => ({
      title: `Where the time goes: ${name}`,
      text: profileTable(kernels),
    })),
  };
}

function generateSection(results: readonly GenerationResult[]): Section {
  const whole = timeColumns("ms", results.map(({ timing }) => timing));
  const first = timeColumns("first token, ms", results.map(({ firstToken }) => firstToken));
  return {
    title: "Greedy decoding, encoder and hypernetwork included",
    head: [
      "model",
      "batch",
      ...whole.head,
      "tokens/s",
      ...first.head,
      "dispatches a token",
      "readbacks",
    ],
    rows: results.map((result, i) => [
      result.name,
      rectangle(result.batch),
      ...whole.cells[i],
      result.tokensPerSecond.toFixed(0),
      ...first.cells[i],
      rounded(result.dispatchesPerToken),
      String(result.readbacks),
    ]),
  };
}

function loadSection({ bytes, milliseconds, ...result }: LoadingResult): Section {
  return {
    title: "Loading a checkpoint from the system's cache",
    head: ["file, MB", "s", "spread", "MB/s", "growth of the process, MB"],
    rows: [[
      (bytes / 1e6).toFixed(0),
      ...extent(scaled(milliseconds, 1e-3)),
      result.megabytesPerSecond.toFixed(0),
      (result.peakHostBytes / 1e6).toFixed(0),
    ]],
  };
}

function tuningSections(results: readonly TuningResult[]): Section[] {
  return [
    {
      title: "Choosing kernels by measuring them",
      head: ["model", "classes of products", "with another kernel than estimated", "s"],
      rows: results.map(({ name, classes, changed, seconds }) => [
        name,
        String(classes),
        String(changed),
        rounded(seconds),
      ]),
    },
    ...results.map(({ name, comparisons }) =>
      peerSection(`What was chosen for ${name}, beside what was estimated, in turns`, comparisons)
    ),
  ];
}

function peerSection(title: string, comparisons: readonly Comparison[]): Section {
  const hasCpu = comparisons.some(({ cpuRatio }) => cpuRatio);
  return {
    title,
    head: [
      "work",
      "peer",
      "ms here",
      "spread",
      "ms there",
      "spread",
      "times as fast",
      "spread",
      ...hasCpu ? ["in computing time", "spread"] : [],
      "dispatches",
      "peak MiB",
    ],
    rows: comparisons.map(({ work, peer, ours, theirs, ratio, cpuRatio, counts }) => [
      work,
      peer,
      ...[ours, theirs, ratio, ...hasCpu && cpuRatio ? [cpuRatio] : []].flatMap(extent),
      pair(counts.ours.dispatches, counts.theirs.dispatches, String),
      // A peer may keep buffers of earlier work for this one.
      pair(counts.ours.peakBytes, counts.theirs.peakBytes, mebibytes, "≥ "),
    ]),
  };
}

const rectangle = ({ batchSize, sourceLength, targetLength }: BatchShape) =>
  `${batchSize} × ${sourceLength} → ${targetLength}`;

/** Columns of times, with that of computing time where it is known. */
function timeColumns(unit: string, timings: readonly Timing[]) {
  const hasCpu = timings.some(({ cpu }) => cpu);
  return {
    head: [unit, "spread", ...hasCpu ? ["computing"] : []],
    cells: timings.map(({ wall, cpu = wall }) => [
      ...extent(wall),
      ...hasCpu ? [rounded(cpu.median)] : [],
    ]),
  };
}

/** Median and extremes. */
const extent = ({ median, least, most }: Spread) => [
  rounded(median),
  `${rounded(least)}–${rounded(most)}`,
];

const scaled = ({ median, least, most }: Spread, factor: number): Spread => ({
  median: factor * median,
  least: factor * least,
  most: factor * most,
});

/** Ours and theirs, who may not say. */
const pair = (ours: number, theirs: number, format: (value: number) => string, least = "") =>
  `${format(ours)} / ${theirs > 0 ? least + format(theirs) : "–"}`;

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

/** Three digits that count. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
