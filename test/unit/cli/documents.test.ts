import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { buildProgram } from "../../../src/cli/program.ts";
import { outside, wordsOf } from "./shell.ts";

const ROOT = new URL("../../../", import.meta.url);

function filesIn(folder: string, ending: string): string[] {
  const names = readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(ending)).map((name) => `${folder}${name}`);
}

/** What a text tells a person to type: in backticks (escaped in sources), as a line of a code block, as a help example. */
function commandsIn(text: string): string[] {
  const quoted = [...text.matchAll(/`portreeve ([a-z][^`\\$]*)\\?`/g)];
  const lines = [...text.matchAll(/^(?:\$ )?portreeve ([a-z][^#\n]*)/gm)];
  const examples = [...text.matchAll(/"portreeve ([a-z][^"]*)"/g)];
  return [...quoted, ...lines, ...examples].map((match) => (match[1] as string).trim().replaceAll(/\s+/g, " "));
}

/** Why a command line is none of the program's; null if it is one, or the beginning of one. */
function faultOf(program: Command, line: string): string | null {
  let command = program;
  let values = 0;
  const all = wordsOf(line);
  // What is planned is a command line itself.
  const words = all[0] === "plan" && all[1]?.startsWith("-") === false ? all.slice(1) : all;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    if (word === ">" || word === "|") break;
    if (word.startsWith("--")) {
      const option = [...command.options, ...program.options].find(({ long }) => long === word);
      if (option === undefined) return `${command.name()} has no ${word}`;
      if (option.required) index += 1;
      continue;
    }
    const inner = command.commands.find((each) => each.name() === word);
    if (inner !== undefined) command = inner;
    else if (command.commands.length > 0) return `${command.name()} has no verb ${word}`;
    else values += 1;
  }
  return values > command.registeredArguments.length ? `${command.name()} takes no ${words.at(-1)}` : null;
}

describe("commands that documents and messages name", () => {
  const { program } = buildProgram(outside());

  it("finds a mistake: a check that passes everything is worth nothing", () => {
    expect(faultOf(program, "reconciler run nftables-forwards --release-brake")).toBe("run has no --release-brake");
    expect(faultOf(program, "port ad 80/tcp")).toBe("port has no verb ad");
    expect(faultOf(program, "port show 80/tcp 81/tcp")).toBe("show takes no 81/tcp");
    expect(faultOf(program, "port add 25565/tcp 192.168.77.2 --label minecraft")).toBeNull();
  });

  it.each([
    ["README.md", ["README.md"], 15],
    ["docs", filesIn("docs/", ".md"), 8],
    ["the sources", filesIn("src/", ".ts"), 35],
  ])("are the program's in %s", (_, files, atLeast) => {
    const named = files.flatMap((file) =>
      commandsIn(readFileSync(new URL(file, ROOT), "utf8")).map((line) => ({ file, line })),
    );
    expect(named.length).toBeGreaterThanOrEqual(atLeast);
    const faults = named.flatMap(({ file, line }) => {
      const fault = faultOf(program, line);
      return fault === null ? [] : [`${file}: \`portreeve ${line}\`: ${fault}`];
    });
    expect(faults).toEqual([]);
  });
});
