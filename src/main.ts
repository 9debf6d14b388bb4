import { readFileSync } from "node:fs";
import { runCommandLine } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";
import { programsOf } from "./daemon/programs.ts";

/** The package beside the built program. */
function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const version = readVersion();

// Whoever read our output has seen enough: `portreeve events list | head`.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") process.exit(0);
  throw cause;
});

process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: processTerminal(process.stdin, process.stdout, process.stderr),
  env: process.env,
  version,
  programs: programsOf(version),
  now: Date.now,
});
