import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PortreeveError } from "../../lib/errors.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 30_000;
const OUTPUT_BYTES = 64 * 1024 * 1024;

/** Another firewall's own program: what it prints, or an error with its last words. */
export async function runProgram(words: readonly string[]): Promise<string> {
  const [program = "", ...args] = words;
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
  try {
    const { stdout } = await run(program, args, { env, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES });
    return stdout;
  } catch (cause) {
    const { code, stderr = "", message } = cause as { code?: unknown; stderr?: string; message: string };
    if (code === "ENOENT") throw new PortreeveError("UNAVAILABLE", `${program} is not installed`, "terminal");
    const said = stderr.trim().split("\n").at(-1) || message;
    throw new PortreeveError("APPLY_FAILED", `\`${words.join(" ")}\` failed: ${said}`, "terminal", { cause });
  }
}

/** Whether the command ends well; one that is not installed does not. */
export async function succeeds(words: readonly string[]): Promise<boolean> {
  return await runProgram(words).then(
    () => true,
    () => false,
  );
}
