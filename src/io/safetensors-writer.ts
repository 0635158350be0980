/**
 * Safetensors files that are larger than memory: written from tensors that are read one at a time.
 *
 * The layout is that of the reference implementation (widest type first, then by name, header padded to
 * 8 bytes), so the same tensors and metadata give the same bytes, here and there.
 */

import { dtypeOrder } from "./header.ts";
import { byteLength, type StoredTensor } from "./source.ts";

/** What the header says of a tensor. */
type Description = Pick<StoredTensor, "dtype" | "shape">;

/** A file up to its data, and the order of that. */
export interface Layout {
  /** Length prefix and header. */
  readonly header: Uint8Array;
  /** The tensors' names in the order of their data. */
  readonly names: readonly string[];
  /** Of the data, in bytes. */
  readonly dataBytes: number;
}

/** Lays a file of these tensors out. */
export function layOutSafetensors(
  tensors: ReadonlyMap<string, Description>,
  metadata?: Readonly<Record<string, string>>,
): Layout {
  const layout = [...tensors].sort(([aName, a], [bName, b]) =>
    dtypeOrder(b.dtype) - dtypeOrder(a.dtype) || (aName < bName ? -1 : 1)
  );
  const entries = metadata === undefined ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  let end = 0;
  for (const [name, { dtype, shape }] of layout) {
    if (name === "__metadata__") throw new Error("no tensor may be called __metadata__");
    const begin = end;
    end += byteLength({ dtype, shape });
    const entry = { dtype, shape, data_offsets: [begin, end] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const headerLength = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + headerLength).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerLength), true);
  header.set(json, 8);
  return { header, names: layout.map(([name]) => name), dataBytes: end };
}

/** The bytes of a safetensors file, from its start to its end: the header, then a tensor at a time. */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata?: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array> {
  const { header, names } = layOutSafetensors(tensors, metadata);
  yield header;
  for (const name of names) {
    const tensor = tensors.get(name)!;
    const bytes = await tensor.read();
    if (bytes.length !== byteLength(tensor)) {
      const { dtype, shape } = tensor;
      throw new Error(`tensor ${name}: ${bytes.length} bytes are not ${dtype} of shape [${shape}]`);
    }
    yield bytes;
  }
}
