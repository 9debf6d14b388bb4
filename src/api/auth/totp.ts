import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** RFC 6238 with the parameters that every authenticator app takes: SHA-1, 6 digits, 30 s. */
const STEP_MS = 30_000;
const DIGITS = 6;
/** RFC 4226 §4 R6 recommends 160 bits. */
const SECRET_BYTES = 20;
/** One step each way for clocks that differ and people who type slowly (RFC 6238 §5.2). */
export const STEPS_ASIDE = 1;

export const newTotpSecret = (): Uint8Array => randomBytes(SECRET_BYTES);

export const totpStep = (wallClockMs: number): number => Math.floor(wallClockMs / STEP_MS);

/** RFC 4226 §5.3. */
export function totpCode(secret: Uint8Array, step: number, digits = DIGITS): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = (mac.at(-1) as number) & 0xf;
  const number = (mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits;
  return String(number).padStart(digits, "0");
}

/** The step that a code is of, if that is about now and after `lastStep`: a code that was seen is worth nothing. */
export function matchingStep(secret: Uint8Array, code: string, wallClockMs: number, lastStep: number): number | null {
  const now = totpStep(wallClockMs);
  let found: number | null = null;
  for (let step = now - STEPS_ASIDE; step <= now + STEPS_ASIDE; step += 1) {
    const same = sameText(totpCode(secret, step), code);
    if (same && step > lastStep) found ??= step;
  }
  return found;
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** RFC 4648 §6. */
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Without padding, as authenticator apps want it. */
export function base32(bytes: Uint8Array): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => BASE32[Number.parseInt(five.padEnd(5, "0"), 2)]).join("");
}

/** The Key URI Format of Google Authenticator's wiki, which the others read as well. */
export function otpauthUri(secret: Uint8Array, gateway: string): string {
  const label = encodeURIComponent(`Portreeve:${gateway}`);
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=Portreeve&algorithm=SHA1&digits=${DIGITS}&period=${STEP_MS / 1000}`;
}
