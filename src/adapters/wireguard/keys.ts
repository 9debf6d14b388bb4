import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { assert } from "../../lib/assert.ts";
import { Secret } from "../../events/secret.ts";

/** Keys are kept as configurations and wg(8) write them: base64. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: Secret;
}

const KEY_BYTES = 32;
/** RFC 8410 §7: a PKCS#8 PrivateKeyInfo for X25519 up to the 32 octets of the key. */
const PKCS8_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");

/** `random` is for tests. */
export function generateKeyPair(random: (bytes: number) => Buffer = randomBytes): KeyPair {
  const bytes = random(KEY_BYTES);
  // RFC 7748 §5: clamped already when it is made, as `wg genkey` does, so that every program shows the same key.
  bytes[0] = (bytes[0] as number) & 248;
  bytes[31] = ((bytes[31] as number) & 127) | 64;
  const privateKey = new Secret(bytes.toString("base64"));
  bytes.fill(0);
  return { publicKey: publicKeyOf(privateKey), privateKey };
}

/** Never all zeros: WireGuard takes that for "no preshared key". */
export function generatePresharedKey(random: (bytes: number) => Buffer = randomBytes): Secret {
  for (;;) {
    const bytes = random(KEY_BYTES);
    if (bytes.some((byte) => byte !== 0)) return new Secret(bytes.toString("base64"));
  }
}

/** The public key of a private one in base64. */
export function publicKeyOf(privateKey: Secret): string {
  const bytes = Buffer.from(textOf(privateKey), "base64");
  assert(bytes.length === KEY_BYTES, "a WireGuard private key is 32 bytes in base64");
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, bytes]), format: "der", type: "pkcs8" });
  const { x } = createPublicKey(key).export({ format: "jwk" });
  assert(x !== undefined, "an X25519 key in JWK has its x");
  return Buffer.from(x, "base64url").toString("base64");
}

export const textOf = (secret: Secret): string => new TextDecoder().decode(secret.expose());
