/**
 * Where every intermediate tensor lies: offsets in a few large buffers ("arenas"), by liveness.
 *
 * Two rules decide. Memory that is alive at the same time must not overlap. And WebGPU forbids one
 * dispatch to read and write the same buffer, even in disjoint ranges, so what a dispatch reads lies in
 * another arena than what it writes. The largest tensors are placed first, each at the lowest gap of the
 * arena that has to grow least: the usual best heuristic for offline storage allocation.
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
  place?: Place;
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

  const arenaBytes = place([...blocks.values()], maxArenaBytes);
  const places = new Map([...blocks].map(([memory, block]) => [memory, block.place!]));
  return { places, arenaBytes, lowerBoundBytes: lowerBound([...blocks.values()], steps.length) };
}

/** Assigns every block its place and returns the arenas' sizes. */
function place(blocks: Block[], maxArenaBytes: number): number[] {
  const arenas: { bytes: number; blocks: Block[] }[] = [];
  for (const block of blocks.sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const forbidden = new Set([...block.apart].map((other) => other.place?.arena));
    let best: { arena: number; byteOffset: number; growth: number } | undefined;
    for (const [arena, { bytes, blocks: placed }] of arenas.entries()) {
      if (forbidden.has(arena)) continue;
      const byteOffset = lowestGap(block, placed);
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
    block.place = { arena: best.arena, byteOffset: best.byteOffset };
  }
  return arenas.map(({ bytes }) => bytes);
}

/** The lowest offset at which a block fits between those that live at the same time. */
function lowestGap(block: Block, placed: readonly Block[]): number {
  const neighbours = placed
    .filter((other) => other.first <= block.last && block.first <= other.last)
    .sort((a, b) => a.place!.byteOffset - b.place!.byteOffset);
  let offset = 0;
  for (const other of neighbours) {
    const start = other.place!.byteOffset;
    if (offset + block.bytes <= start) break;
    offset = Math.max(offset, start + other.bytes);
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
