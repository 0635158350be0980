import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tuningDatabase } from "../../src/graph/tuning-database.ts";
import { testDevice } from "./device.ts";

const test = suite("graph/tuning-database");
const isPage = typeof indexedDB !== "undefined";
const inPages = isPage ? test : test.skip;

inPages("keeps choices by adapter and version", async () => {
  const gpu = await testDevice();
  const choices = { "matmul 1 of 32x16x32 nn f32 f32": "tiled 64x64 by 8x8" };
  assert.equal(await tuningDatabase(gpu, "1").read(), {});
  await tuningDatabase(gpu, "1").write(choices);
  assert.equal(await tuningDatabase(gpu, "1").read(), choices);
  assert.equal(await tuningDatabase(gpu, "2").read(), {});
});

test.run();
