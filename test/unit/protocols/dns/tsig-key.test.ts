import { hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatName } from "../../../../src/lib/domain-name.ts";
import { deviceKeyOf, keyTexts, updateKeyOf } from "../../../../src/protocols/dns/tsig-key.ts";
import { toHex } from "../hex.ts";
import { name } from "./octets.ts";

const PSK = Uint8Array.from({ length: 32 }, (_, index) => index);

describe("the keys that updates are signed with", () => {
  // Computed by an independent HKDF, which was checked with RFC 5869, appendix A.3.
  it.each([
    ["32 × 01", new Uint8Array(32).fill(1), "885aa38527fce9f3cd47731b15d00ca84b0b871e8fa1bbbae7980953b78076f1"],
    ["32 × 02", new Uint8Array(32).fill(2), "60c4b2c4271759c01bc93e80c2283c68af2e583fe26080d1c4da3a8456cdd07e"],
    ["00 to 1f", PSK, "132ebf0ff55ed1f56db2e5bc7f62d7172dc92f3d2a5e7ae6ef422b63173c4823"],
  ])("[dns T26] is the reference's, of the preshared key %s", (_, psk, secret) => {
    const key = updateKeyOf(psk);
    expect(key === null ? null : formatName(key.name)).toBe("startos-dns-update");
    expect(toHex(key?.secret ?? new Uint8Array())).toBe(secret);
  });

  it("[dns T26] is another one for each name, whatever its case", () => {
    const secret = (text: string): string => toHex(deviceKeyOf(PSK, name(text))?.secret ?? new Uint8Array());
    const info = "portreeve-dns-update-v1 dev1.gw.test";
    expect(secret("dev1.gw.test")).toBe(Buffer.from(hkdfSync("sha256", PSK, "", info, 32)).toString("hex"));
    expect(secret("DEV1.gw.test.")).toBe(secret("dev1.gw.test"));
    expect(secret("dev2.gw.test")).not.toBe(secret("dev1.gw.test"));
    expect(secret("startos-dns-update")).not.toBe(toHex(updateKeyOf(PSK)?.secret ?? new Uint8Array()));
  });

  it.each([
    ["absent", null],
    ["all zero", new Uint8Array(32)],
    ["empty", new Uint8Array()],
  ])("[dns T27] is none of a preshared key that is %s", (_, psk) => {
    expect(updateKeyOf(psk)).toBeNull();
    expect(deviceKeyOf(psk, name("dev1.gw.test"))).toBeNull();
  });

  it("is told in the forms of the clients", () => {
    const base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    expect(keyTexts(name("dev1.gw.test"), PSK, "10.59.7.1")).toEqual({
      bindFile: `key "dev1.gw.test" {\n\talgorithm hmac-sha256;\n\tsecret "${base64}";\n};\n`,
      option: `hmac-sha256:dev1.gw.test:${base64}`,
      certbot: [
        "dns_rfc2136_server = 10.59.7.1",
        "dns_rfc2136_port = 53",
        "dns_rfc2136_name = dev1.gw.test.",
        `dns_rfc2136_secret = ${base64}`,
        "dns_rfc2136_algorithm = HMAC-SHA256",
        "",
      ].join("\n"),
      lego: [
        "RFC2136_NAMESERVER=10.59.7.1:53",
        "RFC2136_TSIG_KEY=dev1.gw.test.",
        "RFC2136_TSIG_ALGORITHM=hmac-sha256.",
        `RFC2136_TSIG_SECRET=${base64}`,
        "",
      ].join("\n"),
    });
    expect(keyTexts(name("a"), PSK, "fd00::1").lego).toContain("RFC2136_NAMESERVER=[fd00::1]:53\n");
  });
});
