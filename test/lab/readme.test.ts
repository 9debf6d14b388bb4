import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { scenario } from "./lab.ts";

/** The `portreeve …` lines of the README's first block of them, as argument lists. */
function commandsOf(readme: string): string[][] {
  const block = /```sh\n(portreeve [\s\S]*?)```/.exec(readme)?.[1] ?? "";
  return block
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/\s+/).slice(1));
}

describe("the README", () => {
  scenario("[A4] is a session that works, command by command, in its order", {}, async (lab) => {
    const commands = commandsOf(readFileSync(new URL("../../README.md", import.meta.url), "utf8"));
    expect(commands.length).toBeGreaterThan(10);
    for (const words of commands) {
      const { code, stderr } = await lab.gateway.cli(...words);
      expect(code, `portreeve ${words.join(" ")}: ${stderr}`).toBe(0);
    }
    await lab.gateway.cli("port", "remove", "49152-49251/udp", "--yes");
  });
});
