import { describe, expect, it } from "vitest";
import { HostNames } from "../../../src/api/host-names.ts";

const names = (options: Partial<ConstructorParameters<typeof HostNames>[0]> = {}) =>
  new HostNames({ scheme: "https", listenHost: "0.0.0.0", port: 8351, configured: [], external: () => [], ...options });

describe("the names a listener answers to", () => {
  it("[A10] are the address a connection came to, and the configured ones", () => {
    const gw = names({ configured: ["gw.example.org", "www.example.org:443"], external: () => ["203.0.113.5"] });
    const ours = (host: string) => gw.isOurs(host, "::ffff:192.0.2.1");
    for (const host of [
      "192.0.2.1:8351",
      "gw.example.org:8351",
      "GW.example.org:8351",
      "www.example.org",
      "203.0.113.5:8351",
    ]) {
      expect(ours(host), host).toBe(true);
    }
    for (const host of [
      "192.0.2.2:8351",
      "192.0.2.1",
      "192.0.2.1:8352",
      "gw.example.org",
      "evil.example:8351",
      "gw.example.org.evil.example:8351",
      "localhost:8351",
      "127.0.0.1:8351",
      "user@gw.example.org:8351",
      "gw.example.org:8351/x",
      "gw.example.org:99999",
      "",
      "[::1",
    ]) {
      expect(ours(host), host).toBe(false);
    }
  });

  it("on loopback are loopback's", () => {
    const local = names({ scheme: "http", listenHost: "127.0.0.1" });
    for (const host of ["localhost:8351", "127.0.0.1:8351", "[::1]:8351"])
      expect(local.isOurs(host, "127.0.0.1")).toBe(true);
    const six = names({ listenHost: "::" });
    expect(six.isOurs("[2001:db8::1]:8351", "2001:db8:0:0::1")).toBe(true);
    expect(six.isOurs("[2001:DB8:0::1]:8351", "2001:db8::1")).toBe(true);
  });

  it("leave the scheme's own port out, as browsers do", () => {
    expect(names({ port: 443 }).isOurs("192.0.2.1", "192.0.2.1")).toBe(true);
    expect(names({ port: 443 }).isOurs("192.0.2.1:443", "192.0.2.1")).toBe(true);
    expect(names({ port: 443, configured: ["gw.example.org"] }).url).toBe("https://gw.example.org");
  });

  it("are origins with our scheme only", () => {
    const gw = names({ configured: ["gw.example.org"] });
    const ours = (origin: string) => gw.isOurOrigin(origin, "192.0.2.1");
    expect(ours("https://gw.example.org:8351")).toBe(true);
    for (const origin of [
      "http://gw.example.org:8351",
      "null",
      "https://gw.example.org:8351.evil.example",
      "https://gw.example.org",
    ]) {
      expect(ours(origin), origin).toBe(false);
    }
  });
});
