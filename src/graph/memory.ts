/**
 * Where every intermediate tensor lies: offsets in a few large buffers ("arenas"), by liveness.
 *
 * Two rules decide. Memory that is alive at the same time must not overlap. And WebGPU forbids one
 * dispatch to read and write the same buffer, even in disjoint ranges, so what a dispatch reads lies in
 * another arena than what it writes. Blocks are placed one after the other, each at the lowest gap of the
 * arena that has to grow least: the usual heuristic for offline storage allocation, here with several
 * orders (largest first, longest-lived first, …) of which the best result is kept.
 */

import { isLeaf } from "./leaves.ts";
import { accesses, ALIGNMENT, isScratch, type Steps } from "./steps.ts";
import { byteLength, type Scratch, type Tensor } from "./tensor.ts";

/** A place in an arena. */
export interface Place {
  readonly arena: number;
  readonly byteOffset: number;
}

/** Offsets for all intermediate tensors of a program. */
export interface MemoryPlan {
  /** Places of tensors that are their own home, and of scratch memory. */
  readonly places: ReadonlyMap<Tensor | Scratch, Place>;
  readonly arenaBytes: readonly number[];
  /** The most memory alive at any one step: no plan can need less. */
  readonly lowerBoundBytes: number;
}

interface Block {
  readonly bytes: number;
  /** First and last step at which the memory is in use, both inclusive. */
  first: number;
  last: number;
  /** Blocks that some dispatch writes while it reads this one, or the reverse. */
  readonly apart: Set<Block>;
}

/** Plans the memory of `steps`; the tensors in `kept` stay valid until after the last step. */
export function planMemory(
  { steps, home }: Steps,
  kept: readonly Tensor[],
  maxArenaBytes: number,
): MemoryPlan {
  const blocks = new Map<Tensor | Scratch, Block>();
  const blockOf = (memory: Tensor | Scratch, step: number): Block | undefined => {
    const root = isScratch(memory) ? memory : home(memory).tensor;
    if (!isScratch(root) && isLeaf(root.node)) return undefined;
    let block = blocks.get(root);
    if (!block) {
      const bytes = align(isScratch(root) ? root.scratchBytes : byteLength(root));
      blocks.set(root, block = { bytes, first: step, last: step, apart: new Set() });
    }
    block.last = Math.max(block.last, step);
    return block;
  };

  steps.forEach(({ dispatches }, step) => {
    for (const dispatch of dispatches) {
      const { reads, writes } = accesses(dispatch);
      const read = reads.map((memory) => blockOf(memory, step));
      const written = writes.map((memory) => blockOf(memory, step));
      for (const a of read) {
        for (const b of written) {
          if (a === undefined || b === undefined) continue;
          if (a === b) {
            throw new Error(`The shader ${dispatch.shader.name} reads and writes the same tensor.`);
          }
          a.apart.add(b);
          b.apart.add(a);
        }
      }
    }
  });
  for (const tensor of kept) blockOf(tensor, steps.length);

  const lowerBoundBytes = lowerBound([...blocks.values()], steps.length);
  const { placed, arenaBytes } = bestPlacement(
    [...blocks.values()],
    lowerBoundBytes,
    maxArenaBytes,
  );
  const places = new Map([...blocks].map(([memory, block]) => [memory, placed.get(block)!]));
  return { places, arenaBytes, lowerBoundBytes };
}

/** Where blocks lie, and how large that makes the arenas. */
interface Placement {
  readonly placed: ReadonlyMap<Block, Place>;
  readonly arenaBytes: readonly number[];
  readonly totalBytes: number;
}

const lifetime = ({ first, last }: Block): number => last - first + 1;

/** Orders in which blocks may be placed; which one packs best depends on the graph. */
const ORDERS: readonly ((a: Block, b: Block) => number)[] = [
  (a, b) => b.bytes - a.bytes || a.first - b.first,
  (a, b) => b.bytes * lifetime(b) - a.bytes * lifetime(a) || a.first - b.first,
  (a, b) => lifetime(b) - lifetime(a) || b.bytes - a.bytes,
  (a, b) => a.first - b.first || b.bytes - a.bytes,
  (a, b) => b.last - a.last || b.bytes - a.bytes,
];

/** The smallest placement that any of the orders gives; the first that comes to within 2 % of the bound. */
function bestPlacement(
  blocks: readonly Block[],
  lowerBoundBytes: number,
  maxArenaBytes: number,
): Placement {
  let best: Placement | undefined;
  for (const order of ORDERS) {
    const placement = place(blocks.toSorted(order), maxArenaBytes);
    if (!best || placement.totalBytes < best.totalBytes) best = placement;
    if (best.totalBytes <= 1.02 * lowerBoundBytes) break;
  }
  return best!;
}

/** Assigns every block its place, in the given order. */
function place(blocks: readonly Block[], maxArenaBytes: number): Placement {
  const placed = new Map<Block, Place>();
  const arenas: { bytes: number; blocks: Block[] }[] = [];
  for (const block of blocks) {
    const forbidden = new Set([...block.apart].map((other) => placed.get(other)?.arena));
    let best: { arena: number; byteOffset: number; growth: number } | undefined;
    for (const [arena, { bytes, blocks: neighbours }] of arenas.entries()) {
      if (forbidden.has(arena)) continue;
      const byteOffset = lowestGap(block, neighbours, placed);
      if (byteOffset + block.bytes > maxArenaBytes) continue;
      const growth = Math.max(0, byteOffset + block.bytes - bytes);
      if (!best || growth < best.growth) best = { arena, byteOffset, growth };
    }
    if (!best) {
      best = { arena: arenas.length, byteOffset: 0, growth: block.bytes };
      arenas.push({ bytes: 0, blocks: [] });
    }
    const arena = arenas[best.arena];
    arena.bytes += best.growth;
    arena.blocks.push(block);
    placed.set(block, { arena: best.arena, byteOffset: best.byteOffset });
  }
  const arenaBytes = arenas.map(({ bytes }) => bytes);
  return { placed, arenaBytes, totalBytes: arenaBytes.reduce((sum, bytes) => sum + bytes, 0) };
}

/** The lowest offset at which a block fits between those that live at the same time. */
function lowestGap(
  block: Block,
  neighbours: readonly Block[],
  placed: ReadonlyMap<Block, Place>,
): number {
  const taken = neighbours
    .filter((other) => other.first <= block.last && block.first <= other.last)
    .map((other) => ({ start: placed.get(other)!.byteOffset, bytes: other.bytes }))
    .sort((a, b) => a.start - b.start);
  let offset = 0;
  for (const { start, bytes } of taken) {
    if (offset + block.bytes <= start) break;
    offset = Math.max(offset, start + bytes);
  }
  return offset;
}

function lowerBound(blocks: readonly Block[], steps: number): number {
  const change = new Array<number>(steps + 2).fill(0);
  for (const { first, last, bytes } of blocks) {
    change[first] += bytes;
    change[last + 1] -= bytes;
  }
  let live = 0, peak = 0;
  for (const delta of change) peak = Math.max(peak, live += delta);
  return peak;
}

/** Rounds up to the alignment of bindings. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
