/**
 * What the README tells people to type works: its TypeScript compiles and runs, its commands exist.
 *
 * A block marked `ts no-run` is compiled only. Every block stands alone and imports "hyperdecoder". Python,
 * of the README and of docs/models.md, runs where there is an interpreter for it.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import project from "../deno.json" with { type: "json" };
import { runPython, testWithPython } from "./python/interpreter.ts";
import { adaptedConfig, adaptedTensors } from "./train/adapted-model.ts";
import { writeTinyModel } from "./train/tiny-model.ts";

const test = suite("README");

const ROOT = new URL("../", import.meta.url);

/** A fenced block of code. */
interface Block {
  readonly language: string;
  /** What follows the language: "no-run". */
  readonly marks: string;
  /** Line of the README on which its code begins, from 1. */
  readonly line: number;
  readonly code: string;
}

/** Something like `deno task train --steps 100`. */
interface TaskCall {
  readonly line: number;
  readonly task: string;
  readonly flags: readonly string[];
}

const blocks = blocksOf(await Deno.readTextFile(new URL("README.md", ROOT)));

test("every block of TypeScript compiles and runs", async () => {
  const programs = blocks.filter(({ language }) => ["ts", "typescript"].includes(language));
  const directory = await Deno.makeTempDir();
  try {
    const imports = { ...project.imports, hyperdecoder: new URL(project.exports, ROOT).href };
    const config = { imports, compilerOptions: project.compilerOptions };
    await Deno.writeTextFile(`${directory}/deno.json`, JSON.stringify(config));
    // Where there is no graphics driver this loads one, as the commands do.
    let main = `import { acquireGpu } from "${ROOT}src/platform/adapter.ts";\n` +
      "(await acquireGpu()).destroy();\n";
    for (const { line, marks, code } of programs) {
      const file = `README-line-${line}.ts`;
      // With an export, a block that imports nothing is a module too.
      await Deno.writeTextFile(`${directory}/${file}`, `${code}\nexport {};\n`);
      main += marks.includes("no-run")
        ? `import type {} from "./${file}";\n`
        : `await import("./${file}");\n`;
    }
    await Deno.writeTextFile(`${directory}/main.ts`, `${main}Deno.exit(0);\n`);
    await succeeds(directory, ["run", "--check", "--no-lock", "--allow-all", "main.ts"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("every command is a task, with flags that the task has", async () => {
  const calls = blocks
    .filter(({ language }) => ["sh", "bash", "shell", "console"].includes(language))
    .flatMap(taskCalls);
  assert.ok(calls.length > 0, "the README names no command");
  const known = new Map<string, Promise<Set<string>>>();
  for (const { line, task, flags } of calls) {
    assert.ok(task in project.tasks, `line ${line}: there is no task "${task}"`);
    if (flags.length === 0) continue;
    if (!known.has(task)) known.set(task, flagsOf(task));
    const accepted = await known.get(task)!;
    for (const flag of flags) {
      assert.ok(accepted.has(flag), `line ${line}: deno task ${task} has no flag ${flag}`);
    }
  }
});

test("every environment variable that is read is in the README", async () => {
  const markdown = await Deno.readTextFile(new URL("README.md", ROOT));
  const read = new Set<string>();
  const search = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      if (isDirectory) await search(`${folder}${name}/`);
      else {
        const text = await Deno.readTextFile(new URL(folder + name, ROOT));
        for (const [, variable] of text.matchAll(/\benv\.(?:get|has)\("(\w+)"\)/g)) {
          read.add(variable);
        }
      }
    }
  };
  await search("src/");
  await search("cli/");
  assert.ok(read.has("HF_TOKEN"));
  for (const variable of read) assert.ok(markdown.includes(`\`${variable}\``), variable);
});

testWithPython(test, "every block of Python runs beside an export", async (python) => {
  const page = await Deno.readTextFile(new URL("docs/models.md", ROOT));
  const programs = [...blocks, ...blocksOf(page)].filter(({ language }) => language === "python");
  assert.is(programs.length, 2);
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, decoder] of [["exported", "generated"], ["exported-by-task", "task"]]) {
      const fields = adaptedConfig("manual", decoder);
      await Deno.mkdir(`${directory}/model-${name}`);
      await writeTinyModel(`${directory}/model-${name}`, fields, adaptedTensors(fields));
      const flags = ["--checkpoint", `${directory}/model-${name}`, "--out", `${directory}/${name}`];
      await succeeds(ROOT.pathname, ["run", "-A", "cli/export.ts", ...flags]);
    }
    for (const { code } of programs) await runPython(python, ["-c", code], directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; language: string; marks: string; line: number } | undefined;
  let code: string[] = [];
  for (const [i, line] of markdown.split("\n").entries()) {
    const [, fence, language, marks] = /^ {0,3}(`{3,}|~{3,})\s*([\w-]*)\s*(.*)$/.exec(line) ?? [];
    if (open && line.trim() === open.fence) {
      blocks.push({ ...open, code: code.join("\n") });
      open = undefined;
    } else if (open) {
      code.push(line);
    } else if (fence) {
      open = { fence, language, marks, line: i + 2 };
      code = [];
    }
  }
  if (open) throw new Error(`line ${open.line - 1}: the block of code has no end.`);
  return blocks;
}

function taskCalls({ line, code }: Block): TaskCall[] {
  return code.split("\n").flatMap((text, i, lines) => {
    if (lines[i - 1]?.endsWith("\\")) return [];
    let command = text;
    for (let next = i + 1; command.endsWith("\\") && next < lines.length; next++) {
      command = command.slice(0, -1) + lines[next];
    }
    // Quoted words are arguments, a sign of the shell's ends a command.
    const plain = command.replace(/"[^"]*"|'[^']*'/g, "…").replace(/(^|\s)#.*/, "");
    return plain.split(/&&|[|;<>]/)
      .map((part) => /\bdeno task\s+(\S+)(.*)/.exec(part))
      .filter((match) => match !== null)
      .map(([, task, rest]) => ({
        line: line + i,
        task,
        flags: rest.match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [],
      }));
  });
}

/** The flags in a task's own help. */
async function flagsOf(task: string): Promise<Set<string>> {
  const help = await succeeds(ROOT.pathname, ["task", "--quiet", task, "--help"]);
  // A flag and its opposite stand in one line: --[no-]load-best.
  const options = [...help.matchAll(/^\s+(?:(-\w), )?--(\[no-\])?([a-z][a-z-]*)/gm)];
  return new Set(options.flatMap(([, short, opposite, name]) => [
    ...short ? [short] : [],
    ...opposite ? [`--no-${name}`] : [],
    `--${name}`,
  ]));
}

/** What Deno prints. Fails with what it complains of. */
async function succeeds(cwd: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `deno ${args.join(" ")}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

test.run();
