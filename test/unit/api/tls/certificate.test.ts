import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keyFromPem, makeAuthority, makeLeaf } from "../../../../src/api/tls/certificate.ts";
import { temporaryDirectory } from "../../events/samples.ts";

const NOW = Date.now();
const DAY = 86_400_000;
const NAMES = ["gw.example.org", "192.0.2.1", "2001:db8::1", "localhost"];

describe("certificates of our own", () => {
  const authority = makeAuthority("Portreeve gw", NOW);
  const leaf = makeLeaf(authority, NAMES, NOW);

  it("[A10] are a P-256 root that may sign, and a leaf for a server's names and addresses", () => {
    const [root, server] = [new X509Certificate(authority.certificate), new X509Certificate(leaf.certificate)];
    expect(root.ca).toBe(true);
    expect(server.ca).toBe(false);
    expect(server.checkIssued(root)).toBe(true);
    expect(server.verify(root.publicKey)).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(server.checkPrivateKey(leaf.key)).toBe(true);
    expect(root.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" });
    expect(server.checkHost("gw.example.org")).toBe("gw.example.org");
    expect(server.checkIP("192.0.2.1")).toBe("192.0.2.1");
    expect(server.checkIP("2001:db8::1")).toBe("2001:db8::1");
    expect(server.checkHost("evil.example")).toBeUndefined();
    expect(server.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  });

  it("are good from yesterday on, the leaf for 90 days, and never for longer than who signed it", () => {
    const server = new X509Certificate(leaf.certificate);
    expect(Date.parse(server.validFrom)).toBeLessThanOrEqual(NOW - DAY + 1000);
    expect(Date.parse(server.validTo)).toBeGreaterThan(NOW + 89 * DAY);
    expect(Date.parse(server.validTo)).toBeLessThan(NOW + 91 * DAY);
    const late = makeLeaf(authority, NAMES, Date.parse(new X509Certificate(authority.certificate).validTo) - DAY);
    expect(new X509Certificate(late.certificate).validTo).toBe(new X509Certificate(authority.certificate).validTo);
  });

  it("have a serial number each, and sign with a key that was sealed and opened", () => {
    const pem = authority.key.export({ type: "pkcs8", format: "pem" }) as string;
    const again = makeLeaf({ certificate: authority.certificate, key: keyFromPem(Buffer.from(pem)) }, NAMES, NOW);
    const [one, other] = [new X509Certificate(leaf.certificate), new X509Certificate(again.certificate)];
    expect(other.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(one.serialNumber).not.toBe(other.serialNumber);
  });

  it("satisfy OpenSSL's strict reading of RFC 5280", () => {
    const folder = temporaryDirectory();
    const [ca, server] = [join(folder, "ca.pem"), join(folder, "leaf.pem")];
    writeFileSync(ca, authority.certificate);
    writeFileSync(server, leaf.certificate);
    const said = execFileSync("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, server]);
    expect(said.toString()).toContain(": OK");
  });
});
