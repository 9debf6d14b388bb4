import { execFile } from "node:child_process";

const TIMEOUT_MS = 5000;
/** Ten thousand peers are 3 MB. */
const OUTPUT_MAX = 64 << 20;

/** A program that could not do what it was asked to. Its own words are not repeated: they may quote a key. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
  /** An errno name, "ENOENT" if the program itself is missing, "ETIMEDOUT" if it did not come to an end, or "EIO". */
  readonly code: string;
  readonly program: string;

  constructor(program: string, code: string) {
    super(code === "ENOENT" ? `the program ${program} is not installed` : `${program} failed (${code})`);
    this.code = code;
    this.program = program;
  }
}

/** What programs say in place of an error number. `ip` and `wg` print strerror(3). */
const SAID: readonly (readonly [RegExp, string])[] = [
  [/command not found|failed to execute/, "ENOENT"],
  [/Operation not permitted|Permission denied/, "EPERM"],
  [/No such device|Cannot find device|does not exist/, "ENODEV"],
  [/Address already in use|socket in use/, "EADDRINUSE"],
  [/File exists/, "EEXIST"],
  [/Unknown device type|not supported/, "EOPNOTSUPP"],
  [/Connection refused|Broken pipe|Connection reset/, "ECONNREFUSED"],
  [/Device or resource busy/, "EBUSY"],
];

export interface RunOptions {
  /** What a failure is blamed on, where `program` only starts it. */
  readonly blame?: string;
  readonly input?: string;
  readonly signal?: AbortSignal;
}

/** Runs to the end; resolves with stdout. Rejects with `ProgramError`, or with the signal's reason. */
export type Run = (program: string, args: readonly string[], options?: RunOptions) => Promise<string>;

export const runProgram: Run = (program, args, { blame = program, input = "", signal } = {}) =>
  new Promise((resolve, reject) => {
    const options = {
      // Without our environment: what it holds is nobody's business.
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
      cwd: "/",
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_MAX,
      ...(signal === undefined ? {} : { signal }),
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (signal?.aborted === true) reject(signal.reason as Error);
      else reject(new ProgramError(blame, codeOf(error, `${stderr}${stdout}`)));
    });
    // It may end before it has read everything; its exit status says why.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });

/** wireguard-go tells its errors on stdout. */
function codeOf({ code, killed }: { readonly code?: unknown; readonly killed?: boolean }, said: string): string {
  if (typeof code === "string") return code.startsWith("ERR_") ? "EIO" : code;
  if (killed === true) return "ETIMEDOUT";
  return SAID.find(([words]) => words.test(said))?.[1] ?? "EIO";
}
