import { suite } from "uvu";
import * as assert from "uvu/assert";
import { onInterrupt } from "../../../cli/frame/interrupt.ts";

// Run by the tests below, in a process of its own: a run that saves when asked to stop, or never does.
if (Deno.args[0] === "child:train") {
  const signal = onInterrupt();
  const stillTraining = setInterval(() => {}, 1000);
  signal.addEventListener("abort", () => {
    if (Deno.args[1] === "stubborn") return;
    clearInterval(stillTraining);
    console.log("saved");
  });
  console.log("training");
} else {
  const test = suite("frame/interrupt");

  const train = (how: string) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename!, "child:train", how],
      stdout: "piped",
      stderr: "piped",
    }).spawn();

  const nextText = async (reader: ReadableStreamDefaultReader<Uint8Array>) =>
    new TextDecoder().decode((await reader.read()).value);

  test("the first signal asks for a stop, which may save and succeed", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const run = train("obedient");
      const stdout = run.stdout.getReader();
      assert.is(await nextText(stdout), "training\n");
      run.kill(signal);
      assert.is(await nextText(stdout), "saved\n");
      assert.match(await new Response(run.stderr).text(), /^Stopping after this step .*\n$/);
      assert.is((await run.status).code, 0);
      await stdout.cancel();
    }
  });

  test("the second signal stops at once with 130", async () => {
    const run = train("stubborn");
    const [stdout, stderr] = [run.stdout.getReader(), run.stderr.getReader()];
    assert.is(await nextText(stdout), "training\n");
    run.kill("SIGINT");
    assert.match(await nextText(stderr), /^Stopping/);
    run.kill("SIGINT");
    assert.is((await run.status).code, 130);
    await Promise.all([stdout.cancel(), stderr.cancel()]);
  });

  test.run();
}
