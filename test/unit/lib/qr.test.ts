import { describe, expect, it } from "vitest";
import { qrLines, qrSvg } from "../../../src/lib/qr.ts";
import { renderClientConfig } from "../../../src/protocols/wireguard-config/client-config.ts";
import { modulesOfLines, modulesOfSvg } from "../../qr-modules.mjs";

const TEXT = `[Interface]\nPrivateKey = ${"a".repeat(43)}=\nAddress = 10.59.7.2/24\n\n[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0\n`;
const QUIET = 4;
/** ISO/IEC 18004 §6.3.3: 7 × 7, a ring and a core, dark. */
const FINDER = ["#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######"];

describe("a QR code", () => {
  it("is the same modules on a terminal and as SVG", () => {
    expect(modulesOfLines(qrLines(TEXT))).toEqual(modulesOfSvg(qrSvg(TEXT)));
  });

  it("has its finders in three corners and four light modules around", () => {
    const modules = modulesOfSvg(qrSvg(TEXT));
    const size = modules.length;
    expect((size - 2 * QUIET - 17) % 4).toBe(0);
    expect(modules.every((row) => row.length === size)).toBe(true);
    const cut = (x: number, y: number, length = 7): string[] =>
      modules.slice(y, y + length).map((row) =>
        row
          .slice(x, x + length)
          .map((dark) => (dark ? "#" : " "))
          .join(""),
      );
    const far = size - QUIET - 7;
    for (const [x, y] of [
      [QUIET, QUIET],
      [far, QUIET],
      [QUIET, far],
    ] as const)
      expect(cut(x, y)).toEqual(FINDER);
    const edge = [0, 1, 2, 3, size - 4, size - 3, size - 2, size - 1];
    for (const at of edge) {
      expect(modules[at]).not.toContain(true);
      expect(modules.map((row) => row[at])).not.toContain(true);
    }
  });

  it("of a device's configuration fits a terminal of 80 columns", () => {
    const [key, name] = ["k".repeat(44), "a-rather-long-device-name"];
    const text = renderClientConfig({
      profile: "full",
      deviceName: name,
      address: "10.59.7.2",
      subnet: "10.59.7.1/24",
      ipv6: null,
      privateKey: key,
      presharedKey: key,
      serverPublicKey: key,
      endpoint: "111.222.133.144:51820",
      dns: "10.59.7.1",
    });
    expect(Math.max(...qrLines(text).map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("holds a long text, and says when a text is too long for one", () => {
    expect(qrLines("x".repeat(2000)).length).toBeGreaterThan(50);
    expect(() => qrSvg("x".repeat(5000))).toThrow();
  });
});
