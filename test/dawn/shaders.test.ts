/**
 * Every shader compiles in Dawn too, which is stricter than Deno's compiler and is what Chromium runs; in an
 * exhaustive run, in a driver behind it as well.
 */
import { suite } from "uvu";
import { allEntries, halfVariants } from "../shaders/shaders.ts";

const test = suite("shaders in Dawn");

/** Exit code of validate.ts where Dawn finds no adapter. */
const NO_ADAPTER = 3;

interface Verdict {
  readonly name: string;
  readonly entry: string;
  readonly problem: string | null;
}

const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "--allow-all", new URL("validate.ts", import.meta.url).href],
  stderr: "piped",
}).output();
const decoder = new TextDecoder();
const verdicts: Verdict[] = decoder.decode(stdout).split("\n").filter(Boolean).map((line) =>
  JSON.parse(line)
);

for (const { name, entry } of [...allEntries(), ...halfVariants()]) {
  const check = () => {
    const verdict = verdicts.find((verdict) => verdict.name === name && verdict.entry === entry);
    if (!verdict) throw new Error(`Dawn stopped before it: ${decoder.decode(stderr)}`);
    if (verdict.problem) throw Object.assign(new Error(verdict.problem), { stack: "" });
  };
  if (code === NO_ADAPTER) {
    test.skip(`${name}.${entry}`, "Dawn finds no Vulkan, Metal or Direct3D 12");
  } else test(`${name}.${entry}`, check);
}
test.run();
