import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { fromFloat32, readFloat32, type SafeTensor } from "../../src/io/safetensors.ts";
import { settleEmbeddings } from "../../src/train/embeddings.ts";

const test = suite("embeddings and head");

const SHARED = "shared.weight", HEAD = "lm_head.weight";
const ENCODER = "encoder.embed_tokens.weight", DECODER = "decoder.embed_tokens.weight";

const table = (value: number, dtype: "F32" | "F16" = "F32") =>
  fromFloat32(new Float32Array(6).fill(value), [3, 2], dtype);

/** Files of these tables; `absent` is what the index of the last one lists in vain. */
function settle(tied: boolean, files: Record<string, SafeTensor>[], absent: string[] = []) {
  const weights = files.map((tensors, i) => ({
    name: `file${i}`,
    tensors: new Map(Array.from(Object.entries(tensors), ([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, read: () => Promise.resolve(data) },
    ])),
    ...(i === files.length - 1 && { absent: new Map(absent.map((name) => [name, "shard"])) }),
  }));
  return settleEmbeddings({ tiedEmbeddings: tied }, weights);
}

/** What there is, by name, the first value of each. */
async function values(work: ReturnType<typeof settle>) {
  const { weights, tiedEmbeddings } = await work;
  const found: Record<string, number> = {};
  for (const { tensors } of weights) {
    for (const [name, tensor] of tensors) found[name] = (await readFloat32(tensor, name))[0];
  }
  return { ...found, tied: tiedEmbeddings };
}

test("the tensors decide whether there is a head, where config.json says there is none", async () => {
  const cases: [tied: boolean, files: Record<string, SafeTensor>[], expected: object][] = [
    [true, [{ [SHARED]: table(1) }], { [SHARED]: 1, tied: true }],
    [true, [{ [SHARED]: table(1), [HEAD]: table(1) }], { [SHARED]: 1, tied: true }],
    [true, [{ [SHARED]: table(1), [HEAD]: table(2) }], { [SHARED]: 1, [HEAD]: 2, tied: false }],
    [true, [{ [HEAD]: table(2) }], { [SHARED]: 2, tied: true }],
    // A head that is declared is one, whatever it holds.
    [false, [{ [SHARED]: table(1), [HEAD]: table(1) }], { [SHARED]: 1, [HEAD]: 1, tied: false }],
    [false, [{ [DECODER]: table(1), [HEAD]: table(2) }], { [SHARED]: 1, [HEAD]: 2, tied: false }],
    // Of the same values in another type, too: they need not round to the same.
    [true, [{ [SHARED]: table(1), [HEAD]: table(1, "F16") }], {
      [SHARED]: 1,
      [HEAD]: 1,
      tied: false,
    }],
    // What a checkpoint holds counts, not what its backbone did.
    [true, [{ [SHARED]: table(1) }, { [HEAD]: table(3) }], { [SHARED]: 1, [HEAD]: 3, tied: false }],
    [true, [{ other: table(5) }], { other: 5, tied: undefined }],
  ];
  for (const [tied, files, expected] of cases) {
    assert.equal(await values(settle(tied, files)), expected, JSON.stringify(expected));
  }
});

test("embeddings under another name are the shared ones, and left out only if they are equal", async () => {
  const all = { [SHARED]: table(1), [ENCODER]: table(1), [DECODER]: table(1), [HEAD]: table(1) };
  assert.equal(await values(settle(true, [all])), { [SHARED]: 1, tied: true });
  assert.equal(await values(settle(true, [{ [ENCODER]: table(4) }])), { [SHARED]: 4, tied: true });
  for (const name of [ENCODER, DECODER]) {
    const error = await settle(true, [{ ...all, [name]: table(2) }]).catch((error) => error);
    assert.instance(error, UserError);
    assert.match(error.message, new RegExp(`^file0: the tensor ${name} differs from ${SHARED}`));
  }
});

test("an index may list names that a converter left out, but not a head that is declared", async () => {
  const listed = async (
    tied: boolean,
    absent: string[],
  ) => [...(await settle(tied, [{ [SHARED]: table(1) }], absent)).weights[0].absent!.keys()];
  assert.equal(await listed(true, [ENCODER, DECODER, HEAD]), []);
  assert.equal(await listed(false, [ENCODER, HEAD, "x"]), [HEAD, "x"]);
});

test.run();
