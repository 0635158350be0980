import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Callable, type PickleHost, Tuple, unpickle } from "../../src/io/pickle.ts";
import { assemble, global, little, type Part, text } from "./pickles.ts";

const test = suite("pickle");

class Refusal extends Error {}
const refuse = (why: string): never => {
  throw new Refusal(why);
};

/** Counts what is called; knows one function, which gives its arguments back, and one inert value. */
function host(): PickleHost & { calls: number } {
  return {
    calls: 0,
    global(name) {
      if (name === "inert.value") return "inert";
      if (name !== "safe.echo") return refuse(`global ${name}`);
      return new Callable((args) => {
        this.calls++;
        return args;
      });
    },
    persistent: (id) => ({ id }),
  };
}

const run = (...parts: Part[]): unknown => unpickle(assemble(...parts), 0, host(), refuse).value;

function refuses(pattern: RegExp, ...parts: Part[]): void {
  assert.throws(() => run(...parts), (error: unknown) => {
    assert.instance(error, Refusal);
    assert.match((error as Error).message, pattern);
    return true;
  });
}

// pickle.dumps of the same value in Python 3.11, by each protocol.
const written = [
  "286470300a56610a70310a286c70320a49310a61492d310a61493235350a61493235360a614937303030300a61492d323134373438333634380a614c313039393531313632373737364c0a614c2d393232333337323033363835343737353830384c0a614c313138303539313632303731373431313330333432344c0a614c2d313138303539313632303731373431313330333432344c0a6149300a617356740a70330a284930310a4930300a4e7470340a7356650a70350a2828742849310a7470360a2849310a49320a7470370a2849310a49320a49330a7470380a2849310a49320a49330a49340a7470390a747031300a7356660a7031310a286c7031320a46302e350a61462d31652b3330300a6146696e660a617356730a7031330a56fc6eef5c75303030615c5530303031663630300a7031340a7356e90a7031350a28647031360a566b0a7031370a28647031380a49330a5674687265650a7031390a737373566e0a7032300a286c7032310a732e",
  "7d71002858010000006171015d7102284b014affffffff4bff4d00014a701101004a000000804c313039393531313632373737364c0a4c2d393232333337323033363835343737353830384c0a4c313138303539313632303731373431313330333432344c0a4c2d313138303539313632303731373431313330333432344c0a4b00655801000000747103284930310a4930300a4e74710458010000006571052829284b01747106284b014b02747107284b014b024b03747108284b014b024b034b0474710974710a580100000066710b5d710c28473fe000000000000047fe37e43c8800759c477ff000000000000065580100000073710d580a000000c3bc6ec3af0af09f9880710e5802000000c3a9710f7d711058010000006b71117d71124b03580500000074687265657113737358010000006e71145d7115752e",
  "80027d71002858010000006171015d7102284b014affffffff4bff4d00014a701101004a000000808a060000000000018a0800000000000000808a090000000000000000408a090000000000000000c04b0065580100000074710388894e877104580100000065710528294b018571064b014b028671074b014b024b03877108284b014b024b034b0474710974710a580100000066710b5d710c28473fe000000000000047fe37e43c8800759c477ff000000000000065580100000073710d580a000000c3bc6ec3af0af09f9880710e5802000000c3a9710f7d711058010000006b71117d71124b03580500000074687265657113737358010000006e71145d7115752e",
  "80037d71002858010000006171015d7102284b014affffffff4bff4d00014a701101004a000000808a060000000000018a0800000000000000808a090000000000000000408a090000000000000000c04b0065580100000074710388894e877104580100000065710528294b018571064b014b028671074b014b024b03877108284b014b024b034b0474710974710a580100000066710b5d710c28473fe000000000000047fe37e43c8800759c477ff000000000000065580100000073710d580a000000c3bc6ec3af0af09f9880710e5802000000c3a9710f7d711058010000006b71117d71124b03580500000074687265657113737358010000006e71145d7115752e",
  "800495ce000000000000007d94288c0161945d94284b014affffffff4bff4d00014a701101004a000000808a060000000000018a0800000000000000808a090000000000000000408a090000000000000000c04b00658c01749488894e87948c01659428294b0185944b014b0286944b014b024b038794284b014b024b034b04749474948c0166945d9428473fe000000000000047fe37e43c8800759c477ff0000000000000658c0173948c0ac3bc6ec3af0af09f9880948c02c3a9947d948c016b947d944b038c0574687265659473738c016e945d94752e",
  "800595ce000000000000007d94288c0161945d94284b014affffffff4bff4d00014a701101004a000000808a060000000000018a0800000000000000808a090000000000000000408a090000000000000000c04b00658c01749488894e87948c01659428294b0185944b014b0286944b014b024b038794284b014b024b034b04749474948c0166945d9428473fe000000000000047fe37e43c8800759c477ff0000000000000658c0173948c0ac3bc6ec3af0af09f9880948c02c3a9947d948c016b947d944b038c0574687265659473738c016e945d94752e",
].map((hex) => Uint8Array.fromHex(hex));

test("every protocol's pickle of one value gives that value", () => {
  const integers = [1, -1, 255, 256, 70000, -(2 ** 31), 2 ** 40, -(2n ** 63n), 2n ** 70n];
  const expected = new Map<unknown, unknown>([
    ["a", [...integers, -(2n ** 70n), 0]],
    ["t", new Tuple([true, false, null])],
    ["e", new Tuple([[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]].map((items) => new Tuple(items)))],
    ["f", [0.5, -1e300, Infinity]],
    ["s", "ünï\n😀"],
    ["é", new Map([["k", new Map([[3, "three"]])]])],
    ["n", []],
  ]);
  for (const bytes of written) assert.equal(run(bytes), expected);
});

test("a pickle that ends early is refused, wherever it ends", () => {
  for (const bytes of written) {
    for (let length = 0; length < bytes.length; length++) refuses(/./, bytes.subarray(0, length));
  }
});

test("bytes and byte arrays are copies of the file", () => {
  const file = assemble(0x80, 5, "]C", 2, "abaB", little(1, 4), "ca", 0x96, little(2, 8), "dea.");
  const { value, end } = unpickle(file, 0, host(), refuse);
  file.fill(0);
  assert.equal(value, ["ab", "c", "de"].map((part) => new TextEncoder().encode(part)));
  assert.is(end, file.length);
});

test("the next pickle begins where one ends", () => {
  const file = assemble("K", 1, ".", "K", 2, ".");
  const first = unpickle(file, 0, host(), refuse);
  const second = unpickle(file, first.end, host(), refuse);
  assert.equal([first, second], [{ value: 1, end: 3 }, { value: 2, end: 6 }]);
});

test("keys that are names of JavaScript's own properties are just keys", () => {
  const value = run("}(", text("__proto__"), "}", text("constructor"), "K", 1, "u.");
  assert.equal([...(value as Map<string, unknown>).keys()], ["__proto__", "constructor"]);
  assert.is(({} as Record<string, unknown>).polluted, undefined);
});

test("a global is refused where it is named, whatever the instruction", () => {
  const attacks: Part[][] = [
    [global("os", "system"), "(S'id'\ntR."],
    ["(S'id'\nios\nsystem\n."],
    ["(", global("os", "system"), "S'id'\no."],
    [text("os"), text("system"), 0x93, "(S'id'\ntR."],
    [0x80, 4, 0x8c, 2, "os", 0x94, 0x8c, 6, "system", 0x94, 0x93, 0x94, ")R."],
    [global("os", "system"), ")", 0x81, "."],
    [global("os", "system"), ")}", 0x92, "."],
  ];
  for (const attack of attacks) refuses(/^global os\.system$/, ...attack);
});

test("only a function that the host gave is called", () => {
  const counting = host();
  unpickle(assemble(global("safe", "echo"), "(K", 1, "tR."), 0, counting, refuse);
  assert.is(counting.calls, 1);
  refuses(/calls what is not a function/, text("os.system"), ")R.");
  refuses(/calls what is not a function/, global("inert", "value"), ")R.");
  refuses(/calls what is not a function/, "})R.");
  refuses(/not a list of arguments/, global("safe", "echo"), "}R.");
});

test("no object is made, and no attribute set but a dictionary's", () => {
  for (const opcode of [0x81, 0x92]) {
    refuses(/makes an object/, global("safe", "echo"), ")}", opcode, ".");
  }
  refuses(/makes an object/, "(", global("safe", "echo"), "o.");
  refuses(/makes an object/, "(isafe\necho\n.");
  refuses(/sets attributes/, global("safe", "echo"), "}b.");
  refuses(/sets attributes/, "]}b.");
  refuses(/sets attributes/, "}]b.");
  assert.equal(run("}}", text("_metadata"), "Nsb."), new Map());
});

test("extension codes, buffers and unknown opcodes are refused", () => {
  for (const opcode of [0x82, 0x83, 0x84, 0x97, 0x98, 0x99, 0xff, 0x00]) {
    const code = opcode.toString(16).padStart(2, "0");
    refuses(new RegExp(`unsupported opcode 0x${code} at byte 1$`), "(", opcode, 1, 0, 0, 0, ".");
  }
  refuses(/unknown protocol 6/, 0x80, 6, "N.");
});

test("what takes more than there is is refused", () => {
  const attacks: Part[][] = [
    ["."],
    ["0"],
    ["1"],
    ["2"],
    ["a"],
    ["]a"],
    ["s"],
    ["}Ns"],
    ["b"],
    ["R"],
    [")R"],
    ["Q"],
    ["t"],
    ["l"],
    ["d"],
    ["u"],
    ["e"],
    ["o"],
    ["K", 1, "q"],
    ["q", 0],
    [0x85],
    ["N", 0x86],
    ["NN", 0x87],
    [0x93],
    [0x94],
    ["N(."],
    ["NN(Na"],
    ["(K", 1, "d"],
    ["}(Nu"],
  ];
  for (const attack of attacks) refuses(/./, ...attack, ".");
});

test("a memo that was never set is refused", () => {
  refuses(/recalls memo 0, /, "h", 0, ".");
  refuses(/recalls memo 4294967295, /, "N", 0x94, "j", 255, 255, 255, 255, ".");
  refuses(/recalls memo -1, /, "Np0\ng-1\n.");
});

test("a length beyond the end is refused before anything of that length is made", () => {
  const huge = little(0xffffffffn, 4);
  const vast = little(2n ** 63n - 1n, 8);
  for (const opcode of ["X", "B", "T"]) refuses(/more bytes|whole number/, opcode, huge, "abc.");
  for (const opcode of [0x8d, 0x8e, 0x95, 0x96]) refuses(/more bytes/, opcode, vast, "abc.");
  refuses(/whole number of 4294967295 bytes/, 0x8b, huge, "abc.");
  refuses(/malformed number/, `L${"9".repeat(1000)}L\n.`);
  refuses(/malformed number/, "I0x10\n.");
  refuses(/malformed number/, "F1_0\n.");
});

test("values that contain themselves or one another many times over cost nothing", () => {
  const self = run("]q", 0, "h", 0, "a.") as unknown[];
  assert.is(self[0], self);
  // Each list holds the one before twice: 2^5000 leaves.
  const laughs = Array.from({ length: 5000 }, () => "p0\n0(g0\ng0\nl").join("");
  assert.is((run("]", laughs, ".") as unknown[]).length, 2);
  assert.ok(run("N".repeat(1000), 0x85, "2".repeat(100_000), 0x86, "."));
  assert.is(run("(".repeat(100_000), "N."), null);
});

test("a pickle of endless instructions is refused", () => {
  refuses(/more than 1000000 instructions/, new Uint8Array(1_500_000).fill(0x7d));
  refuses(/more than 1000000 instructions/, new Uint8Array(1_500_000).fill(0x28));
});

test("text that is not UTF-8, and keys that are containers, are refused", () => {
  refuses(/not UTF-8/, "X", little(1, 4), 0xff, ".");
  refuses(/neither text nor a number/, "})Ns.");
  refuses(/neither text nor a number/, "}]Ns.");
  refuses(/by something other than text/, "K", 1, "K", 2, 0x93, ".");
});

test.run();
