import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { PortreeveError } from "../lib/errors.ts";

const TOKEN = /^[0-9a-f]{64}$/;

/** The bearer token of the TCP listener: read, or made at the first start. Only its path is ever shown. */
export function ensureToken(file: string): string {
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
