import { suite } from "uvu";
import * as assert from "uvu/assert";
import { projectPath } from "../../../cli/frame/project.ts";

const test = suite("frame/project");

async function stdoutOf(...args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args, stderr: "inherit" });
  return new TextDecoder().decode((await command.output()).stdout);
}

test("a command that is bundled into one file finds what comes with the project", async () => {
  const source = projectPath("cli/params.ts");
  const directory = await Deno.makeTempDir({ dir: projectPath("."), prefix: ".bundle-" });
  try {
    const bundle = `${directory}/params.js`;
    await stdoutOf("bundle", "--quiet", "--platform", "deno", "--output", bundle, source);
    const [bundled, plain] = await Promise.all([
      stdoutOf("run", "--allow-all", bundle),
      stdoutOf("run", "--allow-all", source),
    ]);
    assert.match(plain, /embeddings/);
    assert.is(bundled, plain);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test.run();
