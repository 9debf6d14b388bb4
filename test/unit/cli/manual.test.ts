import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { leavesOf, renderManPage } from "../../../scripts/man-page.mjs";
import { EXIT, EXIT_MEANING } from "../../../src/cli/exit.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { examplesOf } from "../../../src/cli/program-parts.ts";
import { OUTPUTS, outputJsonSchema, WITHOUT_OUTPUT } from "../../../src/daemon/output-schemas.ts";
import { findProgram } from "../../lab/topology.mjs";
import { SESSION } from "../../lab/help-session.ts";
import { outside } from "./shell.ts";

const PAGE = new URL("../../../docs/portreeve.1", import.meta.url);
const SCHEMA = new URL("../../../docs/cli-output.schema.json", import.meta.url);
const { program } = buildProgram(outside());
const leaves = leavesOf(program, []).map(({ command, path }) => ({ command, name: path.join(" ") }));

describe("the manual page", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };

  it("[A4] is what `npm run docs` makes of the commands as they are", () => {
    const page = renderManPage(program, { version, examplesOf, exit: EXIT, meaning: EXIT_MEANING });
    expect(readFileSync(PAGE, "utf8")).toBe(page);
  });

  it("[A4] is set by groff without a warning, and says every command, option and example", (context) => {
    context.skip(findProgram("groff") === null, 'the program "groff" is not installed');
    const args = ["-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=400n", PAGE.pathname];
    const { stdout: text, stderr } = spawnSync("groff", args, { encoding: "utf8" });
    expect(stderr).toBe("");
    for (const { command, name } of leaves) {
      expect(text).toContain(`portreeve ${name}`);
      for (const line of examplesOf(command)) expect(text).toContain(line);
      for (const { flags } of command.options) expect(text).toContain(flags);
    }
  });
});

describe("the help of every command", () => {
  it("[A4] begins with an example of that very command", () => {
    expect(leaves.length).toBeGreaterThan(80);
    const without = leaves.filter(({ command, name }) => {
      return !examplesOf(command).some((line) => line.startsWith(`portreeve ${name}`));
    });
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it("[A4] has no example that test/lab/help.test.ts does not run", () => {
    const nouns = program.commands.filter(({ commands }) => commands.length > 0);
    const all = [program, ...nouns, ...leaves.map(({ command }) => command)].flatMap(examplesOf);
    const run = new Set(SESSION.map(({ line }) => line));
    expect([...new Set(all)].filter((line) => !run.has(line))).toEqual([]);
  });
});

describe("the README", () => {
  it("[A4] has no command that no test runs: its session is test/lab/readme.test.ts's", () => {
    const text = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    const blocks = [...text.matchAll(/```\w*\n([^]*?)```/g)].map((match) => match[1] ?? "");
    const shown = blocks.filter((block) => !block.startsWith("portreeve ")).flatMap((block) => block.split("\n"));
    const commands = shown.flatMap((line) => /^\$ (portreeve .*?)\s*(?:[>#|].*)?$/.exec(line)?.[1] ?? []);
    expect(commands.length).toBeGreaterThanOrEqual(3);
    expect(commands.filter((line) => !SESSION.some((step) => step.line === line))).toEqual([]);
  });
});

describe("what commands print with --json", () => {
  it("[A4] has a schema, for every command that prints data and for no other", () => {
    const printing = leaves.map(({ name }) => name).filter((name) => !WITHOUT_OUTPUT.has(name));
    expect(Object.keys(OUTPUTS).sort()).toEqual(printing.sort());
  });

  it("[A4] changes its shape only together with docs/cli-output.schema.json", () => {
    expect(readFileSync(SCHEMA, "utf8")).toBe(`${JSON.stringify(outputJsonSchema(), null, 2)}\n`);
  });
});
