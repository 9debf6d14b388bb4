import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";

const ANSWER_WITHIN_MS = 5000;
/** Somebody may install it while we run. */
const LOOK_AGAIN_MS = 5000;

export type Installed = { readonly able: true } | { readonly able: false; readonly why: string };

const NEEDED = { major: 2, minor: 6 };

/** What `haproxy -vv` says of itself; null: there is none. */
export function judge(said: string | null): Installed {
  if (said === null)
    return { able: false, why: "HAProxy is not installed: install the package haproxy (2.6 or newer)" };
  const version = /^HA-?Proxy version ((\d+)\.(\d+)\S*)/m.exec(said);
  if (version === null) return { able: false, why: "the program haproxy does not say which version it is" };
  const [major, minor] = [Number(version[2]), Number(version[3])];
  if (major < NEEDED.major || (major === NEEDED.major && minor < NEEDED.minor)) {
    return { able: false, why: `HAProxy is ${version[1]}; shared TLS ports need 2.6 or newer` };
  }
  const missing = ["LUA", "TPROXY"].find((feature) => !new RegExp(`[+]${feature}\\b`).test(said));
  if (missing !== undefined) return { able: false, why: `this HAProxy was built without ${missing}` };
  return { able: true };
}

function ask(): Promise<string | null> {
  return new Promise((resolve) => {
    execFile("haproxy", ["-vv"], { timeout: ANSWER_WITHIN_MS, env: { PATH: searchPath() } }, (error, stdout) => {
      resolve(error === null ? stdout : error.code === "ENOENT" ? null : "");
    });
  });
}

const searchPath = (): string => process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin";

/** Which file the program is, as it is now; null: there is none. */
function fileOf(program: string): string | null {
  for (const folder of searchPath().split(":")) {
    const path = join(folder, program);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() === true) return [path, stat.dev, stat.ino, stat.size, stat.mtimeMs, stat.mode].join(" ");
  }
  return null;
}

/** Asks the program again only once it is another file: to start it takes milliseconds of the thread that decides. */
export function askWhenChanged(file = () => fileOf("haproxy"), program = ask): () => Promise<string | null> {
  let answered: { readonly file: string; readonly said: string } | null = null;
  return async () => {
    const now = file();
    if (now === null || answered?.file === now) return now === null ? null : (answered?.said ?? null);
    const said = await program();
    answered = said === null || said === "" ? null : { file: now, said };
    return said;
  };
}

/** Whether there is a HAProxy that can do it, known without waiting. */
export class InstalledHaproxy {
  readonly #ask: () => Promise<string | null>;
  #known: Installed = { able: false, why: "it is not known yet whether HAProxy is installed" };
  #looking: Promise<Installed> | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(program: () => Promise<string | null> = askWhenChanged()) {
    this.#ask = program;
    void this.look();
  }

  /** What was known when it was last looked at, a few seconds ago or now. */
  get known(): Installed {
    if (performance.now() - this.#lookedAt > LOOK_AGAIN_MS) void this.look();
    return this.#known;
  }

  look(): Promise<Installed> {
    this.#looking ??= this.#ask().then((said) => {
      this.#known = judge(said);
      this.#lookedAt = performance.now();
      this.#looking = null;
      return this.#known;
    });
    return this.#looking;
  }
}
