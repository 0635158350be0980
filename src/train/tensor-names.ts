/**
 * The names of tensors as training tools leave them → the model's own.
 *
 * A tool that wraps a model names its tensors after the wrapping: `module.` (DataParallel), `_orig_mod.`
 * (torch.compile), `model.` (Lightning), `_fsdp_wrapped_module.` within. What is in front of every tensor
 * tells nothing, so it is taken off, whatever it is. Nothing is dropped: a name that does not have it stays as it is.
 */

import { UserError } from "../errors.ts";

/** Wrappers that stand anywhere in a name. */
const WRAPPERS = /(?<=^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g;

/** Where a name of T5's begins: at the start, or after a point. */
const BEGINNING =
  /^(?:.*?\.)??(?=(?:shared|lm_head)\.weight$|(?:encoder|decoder)\.(?:embed_tokens|block\.\d+|final_layer_norm|mlp|param_gen|adapter_task_embedding)\.)/;

/**
 * A function from given names to the model's.
 *
 * @param names all names of a file, or of an index
 */
export function ownNames(names: Iterable<string>): (name: string) => string {
  const bare = (name: string) => name.replace(WRAPPERS, "");
  let prefix: string | undefined;
  for (const name of names) {
    const found = BEGINNING.exec(bare(name))?.[0];
    // The shortest is the model's: "encoder.block.0…" is a name, though "x.encoder.block.0…" may be one too.
    if (found !== undefined && (prefix === undefined || found.length < prefix.length)) {
      prefix = found;
    }
  }
  return (name) => {
    const short = bare(name);
    return prefix && short.startsWith(prefix) ? short.slice(prefix.length) : short;
  };
}

/** The entries under the model's names. @throws {UserError} where two have the same */
export function renamed<T>(
  entries: ReadonlyMap<string, T>,
  own: (name: string) => string,
  file: string,
): Map<string, T> {
  const result = new Map<string, T>();
  const given = new Map<string, string>();
  for (const [name, value] of entries) {
    const short = own(name);
    if (given.has(short)) {
      throw new UserError(
        `${file}: the tensors ${
          given.get(short)
        } and ${name} both are ${short} of a model: keep one`,
      );
    }
    given.set(short, name);
    result.set(short, value);
  }
  return result;
}
