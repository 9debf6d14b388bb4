import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PortreeveError } from "../../lib/errors.ts";

const run = promisify(execFile);

/** What `ip` lists. */
export async function ipJson(args: readonly string[]): Promise<unknown> {
  try {
    const { stdout } = await run("ip", ["-json", ...args], { timeout: 5000, maxBuffer: 16 << 20 });
    return stdout.trim() === "" ? [] : JSON.parse(stdout);
  } catch (cause) {
    throw new PortreeveError("UNAVAILABLE", "`ip` did not list the interfaces; is iproute2 installed?", "transient", {
      cause,
    });
  }
}
