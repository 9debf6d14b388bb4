import { spawn } from "node:child_process";
import { PortreeveError } from "../../lib/errors.ts";

const TIMEOUT_MS = 5000;

export interface IpBatchReply {
  readonly stdout: string;
  /** What `ip` said of each command that failed, by its index. */
  readonly errors: ReadonlyMap<number, string>;
}

/** Runs many commands of `ip` in one process, each on its own: one that fails stops none of the others. */
export type IpBatch = (
  options: readonly string[],
  commands: readonly string[],
  signal: AbortSignal,
) => Promise<IpBatchReply>;

export function ipBatch(...[options, commands, signal]: Parameters<IpBatch>): ReturnType<IpBatch> {
  return new Promise((resolve, reject) => {
    const child = spawn("ip", [...options, "-force", "-batch", "-"], { signal, timeout: TIMEOUT_MS });
    const said = { stdout: "", stderr: "" };
    const fail = (cause: unknown): void =>
      reject(new PortreeveError("UNAVAILABLE", "`ip` did not run; is iproute2 installed?", "transient", { cause }));
    child.on("error", fail);
    // Without files to open there is a child that has no pipes and says why in its error.
    if ((child.stdin as unknown) === undefined) return;
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (piece: string) => {
        said[stream] += piece;
      });
    }
    child.on("close", (code, killedBy) => {
      const errors = failedCommands(said.stderr);
      // It ends with an error as soon as one command failed; with one and no command named, nothing was done.
      if (killedBy !== null || (code !== 0 && errors.size === 0)) fail(new Error(said.stderr.trim() || `${killedBy}`));
      else resolve({ stdout: said.stdout, errors });
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(commands.map((command) => `${command}\n`).join(""));
  });
}

/** "Cannot find device \"wg0\"\nCommand failed -:3": what was said before it, of the third line. */
export function failedCommands(stderr: string): Map<number, string> {
  const errors = new Map<number, string>();
  let said: string[] = [];
  for (const line of stderr.split("\n")) {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) {
      if (line.trim() !== "") said.push(line.trim());
      continue;
    }
    errors.set(Number(failed[1]) - 1, said.join("; ") || "failed");
    said = [];
  }
  return errors;
}
