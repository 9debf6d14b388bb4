import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { PortreeveError } from "../../lib/errors.ts";

const TOKEN = /^[0-9a-f]{64}$/;

/** The token in the data directory: it lets this machine's people in over TCP until there is a password, and then goes. */
export class FirstToken {
  readonly #file: string;
  readonly #end = new AbortController();
  #token: string | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** Reads it, or makes it at the first start. Only its path is ever shown. */
  ensure(): void {
    this.#token = ensureToken(this.#file);
  }

  fits(given: string): boolean {
    return this.#token !== null && sameSecret(given, this.#token);
  }

  remove(): void {
    this.#token = null;
    rmSync(this.#file, { force: true });
    this.#end.abort();
  }
}

/** Compares digests: equal length whatever was sent, and constant time. */
export function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function ensureToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    return makeToken(file);
  }
  if (!TOKEN.test(text.trim())) {
    const message = `${file} holds no token (64 hex digits); remove it to have a new one made`;
    throw new PortreeveError("CONFIG_INVALID", message, "terminal");
  }
  chmodSync(file, 0o600);
  return text.trim();
}

function makeToken(file: string): string {
  const token = randomBytes(32).toString("hex");
  // "wx": whoever else makes one at the same time, only one of them is handed out.
  const handle = openSync(file, "wx", 0o600);
  try {
    writeSync(handle, `${token}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  return token;
}
