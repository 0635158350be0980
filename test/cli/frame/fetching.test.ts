import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describer } from "../../../cli/frame/fetching.ts";

const test = suite("fetching");

test("tells the pace and the time left, not counting what an earlier attempt had fetched", () => {
  let time = 0;
  const file = "model.safetensors";
  const total = 100e6;
  const describe = describer({ file, received: 40e6, total }, () => time);
  assert.is(describe({ file, received: 40e6, total }), "MB  model.safetensors", "no pace yet");
  time = 2000;
  assert.is(
    describe({ file, received: 50e6, total }),
    "MB  model.safetensors  5.0 MB/s  10s left",
  );
  time = 20_000;
  assert.is(describe({ file, received: total, total }), "MB  model.safetensors  3.0 MB/s");
});

test.run();
