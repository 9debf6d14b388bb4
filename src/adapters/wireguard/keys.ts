import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { assert } from "../../lib/assert.ts";
import { Secret } from "../../events/secret.ts";

/** Keys are kept as configurations and wg(8) write them: base64. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: Secret;
}

const KEY_BYTES = 32;

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
  // RFC 8037 §2. As PKCS#8 it costs OpenSSL ten times as much to read; what `x` says is not looked at, it follows from `d`.
  const jwk = { kty: "OKP", crv: "X25519", d: bytes.toString("base64url"), x: "" };
  const { x } = createPublicKey(createPrivateKey({ key: jwk, format: "jwk" })).export({ format: "jwk" });
  assert(x !== undefined, "an X25519 key in JWK has its x");
  return Buffer.from(x, "base64url").toString("base64");
}

export const textOf = (secret: Secret): string => new TextDecoder().decode(secret.expose());
