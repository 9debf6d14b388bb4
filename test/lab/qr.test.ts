import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../src/adapters/wireguard/keys.ts";
import { qrLines, qrSvg } from "../../src/lib/qr.ts";
import { type ClientProfile, renderClientConfig } from "../../src/protocols/wireguard-config/client-config.ts";
import { modulesOfLines, modulesOfSvg, pictureOf } from "../qr-modules.mjs";
import { findProgram } from "./topology.mjs";

const folder = mkdtempSync(join(tmpdir(), "portreeve-qr-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What another program reads. */
function scanned(modules: boolean[][]): string {
  const file = join(folder, "code.pgm");
  writeFileSync(file, pictureOf(modules, 4));
  return execFileSync("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file], {
    stdio: ["ignore", "pipe", "ignore"],
  }).toString();
}

describe.skipIf(findProgram("zbarimg") === null)("a device's configuration as a QR code", () => {
  it.each<ClientProfile>(["starttunnel", "inbound", "full", "split"])(
    "is read by a scanner byte for byte: %s",
    (profile) => {
      const pair = generateKeyPair();
      const text = renderClientConfig({
        profile,
        deviceName: "front-door",
        address: "10.59.7.2",
        subnet: "10.59.7.1/24",
        ipv6: { address: "fd12:3456:789a:1::a3b:702", prefix: "fd12:3456:789a:1::/64" },
        privateKey: textOf(pair.privateKey),
        presharedKey: textOf(generatePresharedKey()),
        serverPublicKey: generateKeyPair().publicKey,
        endpoint: "11.22.33.1:51820",
        dns: "10.59.7.1",
      });
      // zbarimg ends what it prints with a line feed of its own.
      expect(scanned(modulesOfSvg(qrSvg(text)))).toBe(`${text}\n`);
      expect(scanned(modulesOfLines(qrLines(text)))).toBe(`${text}\n`);
    },
  );
});
