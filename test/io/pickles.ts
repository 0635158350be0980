/** Pickles and checkpoints put together by hand, instruction by instruction. */

const encoder = new TextEncoder();

/** Bytes given as such, as single numbers or as text. */
export type Part = string | number | Uint8Array;

export function assemble(...parts: Part[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string"
        ? [...encoder.encode(part)]
        : typeof part === "number"
        ? [part]
        : [...part]
    ),
  );
}

/** A little-endian number of this many bytes. */
export function little(value: number | bigint, bytes: number): Uint8Array {
  return Uint8Array.from(
    { length: bytes },
    (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 255n),
  );
}

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = encoder.encode(value);
  return assemble("X", little(bytes.length, 4), bytes);
}

/** LONG1, of eight bytes. */
export const whole = (value: number | bigint): Uint8Array => assemble(0x8a, 8, little(value, 8));

/** GLOBAL. */
export const global = (module: string, name: string): string => `c${module}\n${name}\n`;

/** A tuple of what these instructions make. */
export const tuple = (...parts: Part[]): Uint8Array => assemble("(", ...parts, "t");

/** A reference to a storage. */
export const storage = (key: string, length: number | bigint, type = "FloatStorage"): Uint8Array =>
  assemble(
    tuple(text("storage"), global("torch", type), text(key), text("cpu"), whole(length)),
    "Q",
  );

/** A tensor that is a view of a storage. */
export const tensor = (
  of: Part,
  offset: number | bigint,
  shape: readonly (number | bigint)[],
  stride: readonly (number | bigint)[],
): Uint8Array =>
  assemble(
    global("torch._utils", "_rebuild_tensor_v2"),
    tuple(of, whole(offset), tuple(...shape.map(whole)), tuple(...stride.map(whole)), 0x89, "}"),
    "R",
  );

/** A dictionary of one entry. */
export const dictionary = (key: string, value: Part): Uint8Array =>
  assemble("}", text(key), value, "s");

/** A checkpoint in the form before PyTorch 1.6, with storages of float32. */
export function sequence(content: Part, storages: Record<string, number[]> = {}): Uint8Array {
  const magic = assemble(0x80, 2, 0x8a, 10, little(0x1950a86a20f9469cfc6cn, 10), ".");
  const version = assemble(0x80, 2, "M", little(1001, 2), ".");
  const machine = assemble(0x80, 2, "}.");
  const keys = assemble(0x80, 2, "](", ...Object.keys(storages).map(text), "e.");
  const data = Object.values(storages).map((values) =>
    assemble(little(values.length, 8), new Uint8Array(Float32Array.from(values).buffer))
  );
  return assemble(magic, version, machine, 0x80, 2, content, ".", keys, ...data);
}
