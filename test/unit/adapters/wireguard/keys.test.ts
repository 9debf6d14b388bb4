import { expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, publicKeyOf, textOf } from "../../../../src/adapters/wireguard/keys.ts";
import { Secret } from "../../../../src/events/secret.ts";
import { isWireguardKey } from "../../../../src/protocols/wireguard-config/fields.ts";

/** RFC 7748 §6.1, Bob's. */
const BOB = {
  privateKey: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
  publicKey: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
};
const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

it("a public key is the one of RFC 7748", () => {
  expect(publicKeyOf(new Secret(base64(BOB.privateKey)))).toBe(base64(BOB.publicKey));
});

it("a private key is made clamped, whatever the random bytes, and is another each time", () => {
  for (const fill of [0x00, 0xff]) {
    const { publicKey, privateKey } = generateKeyPair((bytes) => Buffer.alloc(bytes, fill));
    const bytes = Buffer.from(textOf(privateKey), "base64");
    expect([(bytes[0] as number) & 7, (bytes[31] as number) & 0xc0]).toEqual([0, 0x40]);
    expect(publicKey).toBe(publicKeyOf(privateKey));
  }
  const made = Array.from({ length: 50 }, () => generateKeyPair());
  expect(new Set(made.map(({ publicKey }) => publicKey)).size).toBe(50);
  expect(
    made.every(({ publicKey, privateKey }) => isWireguardKey(publicKey) && isWireguardKey(textOf(privateKey))),
  ).toBe(true);
});

it("a preshared key is never all zeros, which would be none", () => {
  const draws = [Buffer.alloc(32), Buffer.alloc(32), Buffer.alloc(32, 7)];
  expect(textOf(generatePresharedKey(() => draws.shift() as Buffer))).toBe(Buffer.alloc(32, 7).toString("base64"));
  expect(draws).toEqual([]);
  expect(isWireguardKey(textOf(generatePresharedKey()))).toBe(true);
});

it("what is printed of a key pair is its public key only", () => {
  const pair = generateKeyPair();
  expect(JSON.stringify(pair)).toBe(`{"publicKey":"${pair.publicKey}","privateKey":"[redacted]"}`);
});
