/**
 * One matrix under several names.
 *
 * The embeddings of both stacks and the LM head may all be one matrix; files have it under any of its
 * names, and often under several. And `config.json` does not tell: transformers 5 says
 * `tie_word_embeddings` of every model, also of those whose file has a head of its own. So the tensors
 * decide, as they do there. Invariant: a tensor is left out only where another one has all its bytes.
 */

import type { ModelConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import { sameElements, type StoredTensor } from "../io/source.ts";
import type { WeightFile } from "./weights.ts";

const SHARED = "shared.weight";
const HEAD = "lm_head.weight";
/** The embeddings of the stacks, which are one matrix in every T5. */
const STACKS = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/** The weights of a model with every matrix under one name. */
export interface SettledWeights {
  readonly weights: readonly WeightFile[];
  /** Whether there is a head besides the embeddings. Undefined where the files have neither. */
  readonly tiedEmbeddings: boolean | undefined;
}

/**
 * Finds out which of the matrices are one.
 *
 * @param config as `config.json` has it: a head that it declares untied is one even if it is equal
 * @param files later ones win
 * @throws {UserError} naming the embeddings of a stack that differ from those of the other
 */
export async function settleEmbeddings(
  { tiedEmbeddings: declaredTied }: Pick<ModelConfig, "tiedEmbeddings">,
  files: readonly WeightFile[],
): Promise<SettledWeights> {
  const found = (name: string) => files.findLast(({ tensors }) => tensors.has(name));
  const read = (name: string) => found(name)?.tensors.get(name);
  // As in transformers, whichever there is stands for all that are not there.
  const source = [SHARED, ...STACKS, ...(declaredTied ? [HEAD] : [])].find(found);
  if (source === undefined) return { weights: files, tiedEmbeddings: undefined };
  const embeddings = read(source)!;

  for (const name of STACKS) {
    const tensor = read(name);
    if (!tensor || await sameElements(embeddings, tensor)) continue;
    throw new UserError(
      `${found(name)!.name}: the tensor ${name} differs from ${source}, where T5 has one matrix ` +
        `for both: stacks with embeddings of their own are not supported`,
    );
  }
  const head = read(HEAD);
  const tiedEmbeddings = declaredTied && (!head || await sameElements(embeddings, head));

  const aliases = tiedEmbeddings ? [...STACKS, HEAD] : STACKS;
  const kept = ({ tensors, absent, ...file }: WeightFile): WeightFile => ({
    ...file,
    tensors: new Map<string, StoredTensor>(
      Array.from(tensors).flatMap(([name, tensor]): [string, StoredTensor][] =>
        name === source ? [[SHARED, tensor]] : aliases.includes(name) ? [] : [[name, tensor]]
      ),
    ),
    // Converters leave all names of a matrix but one out, yet keep the index.
    ...(absent && {
      absent: new Map([...absent].filter(([name]) => name !== SHARED && !aliases.includes(name))),
    }),
  });
  return { weights: files.map(kept), tiedEmbeddings };
}
