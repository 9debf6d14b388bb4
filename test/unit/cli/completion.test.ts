import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SHELLS, type Shell } from "../../../src/cli/completion.ts";
import { findProgram } from "../../lab/topology.mjs";
import { run } from "./shell.ts";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-completion-"));
  for (const shell of SHELLS) writeFileSync(join(folder, shell), (await run(["completion", shell])).out);
  writeFileSync(join(folder, "gateway.yaml"), "");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each asks the shell itself; zsh's own commands for offering print what they were given. */
const PROBES: Readonly<Record<Shell, string>> = {
  bash: 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _portreeve; printf "%s\\n" "${COMPREPLY[@]}"',
  zsh: `compdef() { : }; source $0
_describe() { local each; for each in \${(P)2}; do print -r -- \${each%%:*}; done }
compadd() { shift; print -rl -- $@ }
_files() { print -rl -- *(N) }
_message() { : }
words=("$@"); CURRENT=$#words; _portreeve`,
  fish: "source $argv[1]; complete -C (string join ' ' -- $argv[2..-1])",
};

/** What is offered at the end of a line, by name; fish tells the beginnings of words apart by itself, as bash's script does. */
function offered(shell: Shell, ...words: string[]): string[] {
  const line = ["portreeve", ...words];
  const args =
    shell === "fish"
      ? ["--no-config", "-c", PROBES.fish, join(folder, shell), ...line]
      : [...(shell === "zsh" ? ["-f"] : []), "-c", PROBES[shell], join(folder, shell), ...line];
  const said = execFileSync(shell, args, { encoding: "utf8", cwd: folder, env: { ...process.env, HOME: folder } });
  const names = said.split("\n").map((each) => each.split("\t")[0] ?? "");
  return names.filter((name) => name !== "" && name.startsWith(words.at(-1) ?? "")).sort();
}

describe.each(SHELLS)("completion in %s", (shell) => {
  const present = findProgram(shell) !== null;
  const test = (name: string, check: () => void): void => {
    it(name, (context) => {
      context.skip(!present, `the program "${shell}" is not installed`);
      check();
    });
  };

  test("[A4] offers nouns, verbs and options, also past arguments and option values", () => {
    expect(offered(shell, "")).toEqual(expect.arrayContaining(["events", "port", "reconciler", "status"]));
    expect(offered(shell, "--js")).toEqual(["--json", "--jsonl"]);
    expect(offered(shell, "port", "re")).toEqual(["remove"]);
    expect(offered(shell, "--socket", "/s", "snap")).toEqual(["snapshot"]);
    expect(offered(shell, "port", "remove", "8443/tcp", "--d")).toEqual(["--dry-run"]);
    expect(offered(shell, "events", "verify", "--data")).toEqual(["--data-dir"]);
    expect(offered(shell, "plan", "device", "pro")).toEqual(["promote"]);
  });

  test("[A4] keeps verbs apart that other nouns have as well", () => {
    expect(offered(shell, "why", "port", "sh")).toEqual([]);
    expect(offered(shell, "state", "show", "--a")).toEqual(["--at"]);
    expect(offered(shell, "events", "show", "--a")).toEqual([]);
  });

  test("[A4] offers the words that a value can be, and files where a file is wanted", () => {
    expect(offered(shell, "device", "add", "nas", "--kind", "")).toEqual(["client", "server"]);
    expect(offered(shell, "completion", "f")).toEqual(["fish"]);
    expect(offered(shell, "apply", "--file", "gate")).toEqual(["gateway.yaml"]);
    expect(offered(shell, "port", "add", "8443", "--label", "")).toEqual([]);
  });
});
