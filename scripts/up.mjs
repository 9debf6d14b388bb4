// From a fresh clone to a running gateway in the foreground, until Ctrl-C.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "./build.mjs";
import { firstConfig } from "./first-config.mjs";
import { ensureNpmPackages, installSystemPackages, missingSystemPackages, ROOT, say } from "./steps.mjs";

const CONFIG = join(ROOT, "var/portreeve.yaml");
const PROGRAM = join(ROOT, "bin/portreeve");
const EXIT_ERROR = 1;
const EXIT_PERMISSION = 5;

if (process.getuid?.() !== 0) {
  say("Portreeve programs the kernel's packet filter and needs root for that. Run:\n\n  sudo npm run up\n");
  process.exit(EXIT_PERMISSION);
}
if (!ensureNpmPackages()) process.exit(EXIT_ERROR);
if (!installSystemPackages(missingSystemPackages("packaging/run-packages") ?? [])) process.exit(EXIT_ERROR);
say("· build");
if (!(await build())) process.exit(EXIT_ERROR);
if (!existsSync(CONFIG)) {
  mkdirSync(join(ROOT, "var"), { recursive: true, mode: 0o700 });
  writeFileSync(CONFIG, firstConfig(join(ROOT, "var")), { mode: 0o600 });
  say("· wrote ./var/portreeve.yaml");
}

const child = spawn(process.execPath, [PROGRAM, "run", "--config", CONFIG], {
  cwd: ROOT,
  stdio: ["ignore", "inherit", "pipe"],
  // A group of its own: Ctrl-C reaches it once, through us.
  detached: true,
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => child.kill(signal === "SIGHUP" ? "SIGTERM" : signal));
}
// The log goes on to where it would go without us.
createInterface({ input: child.stderr }).on("line", (line) => {
  process.stderr.write(`${line}\n`);
  if (line.includes('"msg":"ready"')) sayNextSteps(JSON.parse(line));
  if (line.includes('"msg":"sign-in-link"'))
    say(`\n  sign in  ${JSON.parse(line).url}\n           (once, within a day)\n`);
  if (line.includes('"msg":"safe-mode"')) say("\nThe event log is damaged: see docs/operations.md, “A broken log”.\n");
});
child.on("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? EXIT_ERROR) : EXIT_ERROR;
});

/** @param {{ socket: string; api: string | null; tokenFile: string | null; caFingerprint?: string; sockets: string[]; degraded?: string[] }} ready */
function sayNextSteps({ socket, api, tokenFile, caFingerprint, sockets, degraded = [] }) {
  const access = tokenFile === null ? "(sign in, or send a token)" : `(bearer token in ${tokenFile})`;
  const cli = socket === "/run/portreeve/portreeve.sock" ? "bin/portreeve" : `bin/portreeve --socket ${socket}`;
  const serving = sockets.filter((each) => each.startsWith("port control"));
  const lines = [
    "",
    "Portreeve is ready.",
    "",
    ...(api === null ? [] : [`  API      ${caFingerprint === undefined ? "http" : "https"}://${api}/docs  ${access}`]),
    `  socket   ${socket}`,
    `  config   ${CONFIG}`,
    ...serving.map((each) => `  serving  ${each}`),
    ...degraded.map((each) => `  trouble  ${each}`),
    "",
    "Next:",
    serving.length === 0
      ? "  · it serves no interface yet: name one under `lan:` in the config, then start again"
      : "  · on a device of that network:  natpmpc -a 8080 8080 tcp 3600",
    `  · or let a device into a private network over WireGuard:  ${cli} device add nas --kind server`,
    `  · ${cli} status`,
    `  · ${cli} port add 8080/tcp HOST`,
    `  · ${cli} events tail`,
    `  · Ctrl-C stops the controller; forwards stay. ${cli} teardown --config var/portreeve.yaml removes them.`,
    "",
  ];
  say(lines.join("\n"));
}
