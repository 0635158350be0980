/**
 * How many parameters the parts of a model have. Follows from the configuration; needs no weights.
 *
 * Counted is what a checkpoint stores: a shared parameter once, under the part that owns it.
 */

import { size } from "../src/graph/tensor.ts";
import { type ModelConfig, type Side, stackOf } from "./config.ts";
import { parameterInventory } from "./inventory.ts";

/** The parts of a stack, by what tells their parameters apart; whatever has none of it is backbone. */
const STACK_PARTS = [
  { part: "adapters", mark: ".adapter_layer." },
  { part: "hypernetwork", mark: ".param_gen." },
  { part: "perceptron", mark: ".mlp." },
  { part: "task embeddings", mark: ".adapter_task_embedding." },
] as const;

const PARTS: readonly string[] = [
  "embeddings",
  "encoder",
  "decoder",
  "LM head",
  ...["encoder", "decoder"].flatMap((side) => STACK_PARTS.map(({ part }) => `${side} ${part}`)),
];

/** A part of a model and its size. */
export interface PartSize {
  /** As "embeddings", "encoder", "LM head", "decoder hypernetwork". */
  readonly part: string;
  /** Parameters. */
  readonly total: number;
  /** Those of them that training changes. */
  readonly trainable: number;
  /**
   * Whether nothing computes with them: where a hypernetwork makes the adapters, the reference's
   * checkpoints hold learnt ones as well (in the encoder, generated ones need them for the first pass).
   */
  readonly unused: boolean;
}

/**
 * The parts that a model has: backbone first, then what adapts it.
 *
 * @param isTrainable whether training changes the parameter of a name
 */
export function partSizes(
  config: ModelConfig,
  isTrainable: (name: string) => boolean,
): PartSize[] {
  const counts = new Map(PARTS.map((part) => [part, { total: 0, trainable: 0 }]));
  for (const { name, shape } of parameterInventory(config)) {
    const count = counts.get(partOf(name))!;
    count.total += size(shape);
    if (isTrainable(name)) count.trainable += size(shape);
  }
  return Array.from(counts, ([part, count]) => ({ part, ...count, unused: isUnused(config, part) }))
    .filter(({ total }) => total > 0);
}

function partOf(name: string): string {
  const [top] = name.split(".", 1);
  if (top === "shared") return "embeddings";
  if (top === "lm_head") return "LM head";
  const part = STACK_PARTS.find(({ mark }) => name.includes(mark));
  return part ? `${top} ${part.part}` : top;
}

function isUnused(config: ModelConfig, part: string): boolean {
  const [side, rest] = part.split(" ");
  if (rest !== "adapters") return false;
  const { mode } = stackOf(config, side as Side);
  return mode === "task" || (mode === "generated" && side === "decoder");
}
