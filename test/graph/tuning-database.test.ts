import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tuningDatabase } from "../../src/graph/tuning-database.ts";
import { testDevice } from "./device.ts";

const test = suite("graph/tuning-database");

/** What only pages have. */
const isThere = typeof indexedDB !== "undefined";

const name = "keeps choices by adapter and version";
if (!isThere) test.skip(name, "IndexedDB is in pages only, where this file runs, too");
else {
  test(name, async () => {
    const gpu = await testDevice();
    const choices = { "matmul 1 of 32x16x32 nn f32 f32": "tiled 64x64 by 8x8" };
    assert.equal(await tuningDatabase(gpu, "1").read(), {});
    await tuningDatabase(gpu, "1").write(choices);
    assert.equal(await tuningDatabase(gpu, "1").read(), choices);
    assert.equal(await tuningDatabase(gpu, "2").read(), {});
  });
}

test.run();
