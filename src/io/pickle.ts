/**
 * A machine for Python's pickles that can build data and nothing else.
 *
 * A pickle is a program: Python's own machine calls any function that it names. This one has only the
 * globals that its host gives it, and asks for them where they are named, so that a hostile pickle is
 * refused before anything is called. Its time and memory are linear in the pickle's length: no
 * instruction copies or walks what earlier ones have built, and their number is limited.
 */

import { Cursor, type Refuse } from "./cursor.ts";

/** What a pickle may get from outside itself. Both methods throw to refuse. */
export interface PickleHost {
  /** The value of a global, by its qualified name: an inert value, or a {@linkcode Callable}. */
  global(name: string): unknown;
  /** The value that the pickle's author stored elsewhere and left this mark of. */
  persistent(id: unknown): unknown;
}

/** A global that a pickle may call. It must take bounded time, whatever its arguments. */
export class Callable {
  constructor(readonly call: (args: readonly unknown[]) => unknown) {}
}

/**
 * A global that a pickle may name and make objects of, since nothing is made of it: whatever the pickle does
 * with it, there is an {@linkcode Inert} in its place.
 */
export class InertGlobal {}

/** Stands for an object that nobody asked for. */
export class Inert {}

/** A Python tuple; lists are arrays and dictionaries maps. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** What a table of some 30,000 tensors needs; at most a second, and some 300 MB of empty dictionaries. */
const maximumSteps = 1_000_000;

/**
 * Runs the pickle that begins at byte `begin`.
 *
 * Whole numbers become `number`, or `bigint` where they are beyond 2^53.
 *
 * @param refuse called with the reason when the pickle is not sound; it must throw
 * @returns its value, and where the pickle ends
 */
export function unpickle(
  bytes: Uint8Array,
  begin: number,
  host: PickleHost,
  refuse: Refuse,
): { value: unknown; end: number } {
  const cursor = new Cursor(bytes, begin, refuse);
  const machine = new Machine(cursor, host, refuse);
  for (let steps = 0; steps < maximumSteps; steps++) {
    const opcode = cursor.uint8();
    if (opcode === 0x2e /* STOP */) return { value: machine.pop(), end: cursor.at };
    machine.step(opcode);
  }
  return refuse(`its pickle has more than ${maximumSteps} instructions`);
}

class Machine {
  /** The values since the last mark. */
  #stack: unknown[] = [];
  /** The values before each mark that is still open. */
  readonly #marked: unknown[][] = [];
  readonly #memo = new Map<number, unknown>();
  readonly #cursor: Cursor;
  readonly #host: PickleHost;
  readonly #refuse: Refuse;

  constructor(cursor: Cursor, host: PickleHost, refuse: Refuse) {
    this.#cursor = cursor;
    this.#host = host;
    this.#refuse = refuse;
  }

  pop(): unknown {
    if (this.#stack.length === 0) this.#refuse("its pickle takes more values than it made");
    return this.#stack.pop();
  }

  /** Runs one instruction; opcodes are in the order of their protocols. */
  step(opcode: number): void {
    const cursor = this.#cursor;
    switch (opcode) {
      // Protocol 0 and 1: the stack and the memo.
      case 0x28: // MARK
        this.#marked.push(this.#stack);
        this.#stack = [];
        return;
      case 0x30: // POP: also takes away a mark that has nothing after it
        if (this.#stack.length === 0) this.#popToMark();
        else this.#stack.pop();
        return;
      case 0x31: // POP_MARK
        this.#popToMark();
        return;
      case 0x32: // DUP
        return this.#push(this.#top());
      case 0x67: // GET
        return this.#recall(cursor.decimal());
      case 0x68: // BINGET
        return this.#recall(cursor.uint8());
      case 0x6a: // LONG_BINGET
        return this.#recall(cursor.uint32());
      case 0x70: // PUT
        return this.#remember(cursor.decimal());
      case 0x71: // BINPUT
        return this.#remember(cursor.uint8());
      case 0x72: // LONG_BINPUT
        return this.#remember(cursor.uint32());

      // Constants, numbers and text.
      case 0x4e: // NONE
        return this.#push(null);
      case 0x49: // INT
        return this.#push(cursor.decimalOrBoolean());
      case 0x4a: // BININT
        return this.#push(cursor.int32());
      case 0x4b: // BININT1
        return this.#push(cursor.uint8());
      case 0x4d: // BININT2
        return this.#push(cursor.uint16());
      case 0x4c: // LONG
        return this.#push(cursor.decimal());
      case 0x46: // FLOAT
        return this.#push(cursor.float());
      case 0x47: // BINFLOAT
        return this.#push(cursor.float64());
      case 0x53: // STRING
        return this.#push(cursor.quoted());
      case 0x54: // BINSTRING
        return this.#push(cursor.text(cursor.uint32()));
      case 0x55: // SHORT_BINSTRING
        return this.#push(cursor.text(cursor.uint8()));
      case 0x56: // UNICODE
        return this.#push(cursor.escaped());
      case 0x58: // BINUNICODE
        return this.#push(cursor.text(cursor.uint32()));

      // Containers.
      case 0x29: // EMPTY_TUPLE
        return this.#push(new Tuple([]));
      case 0x74: // TUPLE
        return this.#push(new Tuple(this.#popToMark()));
      case 0x5d: // EMPTY_LIST
        return this.#push([]);
      case 0x6c: // LIST
        return this.#push(this.#popToMark());
      case 0x61: // APPEND
        return this.#append([this.pop()]);
      case 0x65: // APPENDS
        return this.#append(this.#popToMark());
      case 0x7d: // EMPTY_DICT
        return this.#push(new Map());
      case 0x64: { // DICT
        const items = this.#popToMark();
        this.#push(new Map());
        return this.#setItems(items);
      }
      case 0x73: { // SETITEM
        const value = this.pop();
        return this.#setItems([this.pop(), value]);
      }
      case 0x75: // SETITEMS
        return this.#setItems(this.#popToMark());

      // What reaches out of the pickle.
      case 0x63: // GLOBAL
        return this.#push(this.#global(cursor.line(), cursor.line()));
      case 0x69: // INST: names its class before it makes an object
        this.#global(cursor.line(), cursor.line());
        return this.#refuseObject();
      case 0x6f: // OBJ
        return this.#refuseObject();
      case 0x50: // PERSID
        return this.#push(this.#host.persistent(cursor.line()));
      case 0x51: // BINPERSID
        return this.#push(this.#host.persistent(this.pop()));
      case 0x52: // REDUCE
        return this.#reduce(this.pop(), this.pop());
      case 0x62: // BUILD
        return this.#build(this.pop());

      // Protocol 2.
      case 0x80: { // PROTO
        const protocol = cursor.uint8();
        if (protocol > 5) this.#refuse(`its pickle has the unknown protocol ${protocol}`);
        return;
      }
      case 0x81: // NEWOBJ
        this.pop();
        return this.#makeObject(this.pop());
      case 0x85: // TUPLE1
        return this.#pushTuple(1);
      case 0x86: // TUPLE2
        return this.#pushTuple(2);
      case 0x87: // TUPLE3
        return this.#pushTuple(3);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x8a: // LONG1
        return this.#push(cursor.integer(cursor.uint8()));
      case 0x8b: // LONG4
        return this.#push(cursor.integer(cursor.uint32()));

      // Protocols 3, 4 and 5.
      case 0x42: // BINBYTES
        return this.#push(cursor.data(cursor.uint32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(cursor.data(cursor.uint8()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(cursor.text(cursor.uint8()));
      case 0x8d: // BINUNICODE8
        return this.#push(cursor.text(cursor.uint64()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(cursor.data(cursor.uint64()));
      case 0x8f: // EMPTY_SET
        return this.#push(new Inert());
      case 0x90: // ADDITEMS
        return this.#append(this.#popToMark());
      case 0x91: // FROZENSET
        this.#popToMark();
        return this.#push(new Inert());
      case 0x92: // NEWOBJ_EX
        this.pop();
        this.pop();
        return this.#makeObject(this.pop());
      case 0x93: { // STACK_GLOBAL
        const name = this.pop();
        const module = this.pop();
        if (typeof module !== "string" || typeof name !== "string") {
          return this.#refuse("its pickle names a global by something other than text");
        }
        return this.#push(this.#global(module, name));
      }
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x95: // FRAME: only its length is checked, since instructions may not straddle the end
        return cursor.expect(cursor.uint64());

      default: {
        // Among them extension codes and out-of-band buffers, none of which a tensor needs.
        const code = opcode.toString(16).padStart(2, "0");
        this.#refuse(`its pickle has the unsupported opcode 0x${code} at byte ${cursor.at - 1}`);
      }
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #top(): unknown {
    if (this.#stack.length === 0) this.#refuse("its pickle takes more values than it made");
    return this.#stack.at(-1);
  }

  #popToMark(): unknown[] {
    const items = this.#stack;
    this.#stack = this.#marked.pop() ?? this.#refuse("its pickle closes a mark that it never set");
    return items;
  }

  #pushTuple(length: number): void {
    if (this.#stack.length < length) this.#refuse("its pickle takes more values than it made");
    this.#push(new Tuple(this.#stack.splice(-length)));
  }

  #recall(index: number | bigint): void {
    if (!this.#memo.has(Number(index))) this.#refuse(`its pickle recalls memo ${index}, never set`);
    this.#push(this.#memo.get(Number(index)));
  }

  #remember(index: number | bigint): void {
    this.#memo.set(Number(index), this.#top());
  }

  #append(items: unknown[]): void {
    const list = this.#top();
    if (list instanceof Inert) return;
    if (!Array.isArray(list)) return this.#refuse("its pickle appends to what is not a list");
    for (const item of items) list.push(item);
  }

  #setItems(items: unknown[]): void {
    const dictionary = this.#top();
    if (dictionary instanceof Inert) return;
    if (!(dictionary instanceof Map)) {
      return this.#refuse("its pickle sets an item of what is not a dictionary");
    }
    if (items.length % 2 !== 0) this.#refuse("its pickle sets a key without a value");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key === "object" && key !== null) {
        this.#refuse("its pickle has a dictionary key that is neither text nor a number");
      }
      dictionary.set(key, items[i + 1]);
    }
  }

  #global(module: string, name: string): unknown {
    return this.#host.global(`${module}.${name}`);
  }

  #reduce(args: unknown, callable: unknown): void {
    if (callable instanceof InertGlobal) return this.#push(new Inert());
    if (!(callable instanceof Callable)) {
      return this.#refuse("its pickle calls what is not a function");
    }
    if (!(args instanceof Tuple)) {
      return this.#refuse("its pickle calls a function with what is not a list of arguments");
    }
    this.#push(callable.call(args.items));
  }

  /** PyTorch sets one attribute: the version table `_metadata` of a module's OrderedDict. */
  #build(state: unknown): void {
    if (this.#top() instanceof Inert) return;
    if (!(this.#top() instanceof Map) || !(state instanceof Map)) {
      this.#refuse("its pickle sets attributes of something other than a dictionary");
    }
  }

  /** What an object's class and arguments make: nothing, where it is inert. */
  #makeObject(type: unknown): void {
    if (!(type instanceof InertGlobal)) return this.#refuseObject();
    this.#push(new Inert());
  }

  #refuseObject(): never {
    return this.#refuse("its pickle makes an object of a class, where only tensors are expected");
  }
}
