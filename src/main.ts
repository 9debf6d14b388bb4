import { readFileSync } from "node:fs";
import { runCommandLine } from "./cli/program.ts";
import type { Programs } from "./cli/programs.ts";
import { processTerminal } from "./cli/terminal.ts";

/** The package beside the built program. */
function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const version = readVersion();

/** Loaded when they are started: asking a running daemon needs none of them. */
const programs: Programs = {
  run: async (options) => await (await import("./daemon/daemon.ts")).runDaemon({ ...options, version }),
  replay: async (dataDir, to) => await (await import("./daemon/offline.ts")).replayDataDir(dataDir, to),
  verifyLog: async (dataDir) => await (await import("./events/verify.ts")).verifyLog(dataDir),
  planSalvage: async (dataDir, restore) => await (await import("./daemon/offline.ts")).plan(dataDir, restore),
  acceptLog: async (dataDir) => await (await import("./events/restored.ts")).acceptLog(dataDir),
  addException: async (exception) => await (await import("./daemon/firewall-exceptions.ts")).addException(exception),
  findExceptions: async () => await (await import("./daemon/firewall-exceptions.ts")).findExceptions(),
  bringOver: async (source, path) => await (await import("./daemon/bring-over.ts")).bringOver(source, path),
  backup: async (request) => await (await import("./daemon/backup.ts")).backup(request),
  restore: async (request) => await (await import("./daemon/backup.ts")).restore(request),
  teardown: async (dataDir) => await (await import("./daemon/offline.ts")).teardown(dataDir),
};

// Whoever read our output has seen enough: `portreeve events list | head`.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") process.exit(0);
  throw cause;
});

process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: processTerminal(process.stdin, process.stdout, process.stderr),
  env: process.env,
  version,
  programs,
  now: Date.now,
});
