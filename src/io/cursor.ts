/**
 * The numbers and texts of a pickle, read without ever leaving its bytes.
 *
 * Every length is checked against what is left before anything of that length is made, so that a file
 * that lies about its lengths costs no memory.
 */

/** Throws the error for this reason; whoever supplies it knows the file. */
export type Refuse = (why: string) => never;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A place in a pickle's bytes that only moves forward; numbers are little-endian. */
export class Cursor {
  /** Offset of the next byte. */
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #refuse: Refuse;

  constructor(bytes: Uint8Array, at: number, refuse: Refuse) {
    this.at = at;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#refuse = refuse;
  }

  /** Refuses a length that is more than what is left. */
  expect(length: number): void {
    const left = this.#bytes.length - this.at;
    if (length > left) {
      this.#refuse(`its pickle needs ${length} more bytes at byte ${this.at} but ${left} are left`);
    }
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Rounded where it is beyond 2^53, which is more than any file has. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** Big-endian, as pickles have it. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8));
  }

  /** A two's complement number of this many bytes; `bigint` where it is beyond 2^53. */
  integer(length: number): number | bigint {
    if (length > 255) this.#refuse(`its pickle has a whole number of ${length} bytes`);
    let value = 0n;
    for (const byte of this.#take(length).reverse()) value = value << 8n | BigInt(byte);
    return narrowed(BigInt.asIntN(8 * length, value));
  }

  /** A copy of the next bytes. */
  data(length: number): Uint8Array {
    return this.#take(length);
  }

  /** UTF-8. */
  text(length: number): string {
    try {
      return decoder.decode(this.#take(length));
    } catch (error) {
      if (error instanceof TypeError) this.#refuse("its pickle has text that is not UTF-8");
      throw error;
    }
  }

  /** The text up to the next line feed, which is passed over. */
  line(): string {
    const line = this.text(this.#lineLength());
    this.at++;
    return line;
  }

  /** A line with a whole number in decimal, perhaps with Python 2's mark of a long one. */
  decimal(): number | bigint {
    return this.#parsedDecimal(this.line());
  }

  /** The same, where protocol 0 and 1 write True as `01`, as they write no number. */
  decimalOrBoolean(): number | bigint | boolean {
    const line = this.line();
    return line === "01" ? true : line === "00" ? false : this.#parsedDecimal(line);
  }

  /** A line with a number in decimal. */
  float(): number {
    const line = this.line();
    if (!/^-?(\d+(\.\d*)?(e[-+]?\d+)?|inf)$|^nan$/.test(line)) {
      this.#refuse("its pickle has a malformed number");
    }
    return Number(line.replace("inf", "Infinity").replace("nan", "NaN"));
  }

  /** A line with text in quotes; text that needs escapes is refused, for no tensor's name does. */
  quoted(): string {
    const match = /^(['"])([^\\]*)\1$/.exec(this.line());
    return match ? match[2] : this.#refuse("its pickle has malformed text");
  }

  /** A line of Latin-1, in which other characters are escaped by their code points. */
  escaped(): string {
    const line = this.#take(this.#lineLength());
    this.at++;
    return Array.from(line, (byte) => String.fromCharCode(byte)).join("").replace(
      /\\u([0-9a-fA-F]{4})|\\U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})/g,
      (_, short, long) => String.fromCodePoint(parseInt(short ?? long, 16)),
    );
  }

  #lineLength(): number {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) this.#refuse("its pickle ends in the middle of a line");
    return end - this.at;
  }

  #parsedDecimal(line: string): number | bigint {
    // Longer ones take quadratic time to convert.
    const match = /^(-?\d{1,100})L?$/.exec(line);
    return match ? narrowed(BigInt(match[1])) : this.#refuse("its pickle has a malformed number");
  }

  #advance(length: number): number {
    this.expect(length);
    this.at += length;
    return this.at - length;
  }

  #take(length: number): Uint8Array {
    const begin = this.#advance(length);
    return this.#bytes.slice(begin, begin + length);
  }
}

const narrowed = (value: bigint): number | bigint =>
  Number.isSafeInteger(Number(value)) ? Number(value) : value;
