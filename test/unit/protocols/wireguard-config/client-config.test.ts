import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ClientProfile, renderClientConfig } from "../../../../src/protocols/wireguard-config/client-config.ts";
import { parseAllowedIp } from "../../../../src/protocols/wireguard-config/fields.ts";
import { parseWgQuick } from "../../../../src/protocols/wireguard-config/parse.ts";
import { clientConfigs, lengthOf, NAS, PRIVATE_KEY, PSK, PUBLIC_KEY } from "./samples.ts";

const IPV6 = { address: "fd12:3456:789a:1::a3b:702", prefix: "fd12:3456:789a:1::/64" };
const linesOf = (profile: ClientProfile, more: Partial<typeof NAS> = {}): string[] =>
  renderClientConfig({ ...NAS, ...more, profile }).split("\n");

describe("a device's configuration", () => {
  it("is for StartOS the bytes that StartTunnel writes", () => {
    const expected = [
      "# StartTunnel config for nas",
      "",
      "[Interface]",
      "Address = 10.59.7.2/24",
      `PrivateKey = ${PRIVATE_KEY}`,
      "DNS = 10.59.7.1",
      "",
      "[Peer]",
      `PublicKey = ${PUBLIC_KEY}`,
      `PresharedKey = ${PSK}`,
      "AllowedIPs = 10.59.7.0/24",
      "Endpoint = 11.22.33.1:51820",
      "PersistentKeepalive = 25",
      "",
    ].join("\n");
    expect(Buffer.from(renderClientConfig(NAS))).toEqual(Buffer.from(expected));
  });

  it("is for StartOS with IPv6 as later StartTunnels write it", () => {
    const lines = linesOf("starttunnel", { ipv6: IPV6 });
    expect(lines).toContain("Address = 10.59.7.2/24, fd12:3456:789a:1::a3b:702/128");
    expect(lines).toContain("AllowedIPs = 10.59.7.0/24, ::/0");
  });

  it("takes connections from anywhere and leaves the rest of the machine alone", () => {
    expect(linesOf("inbound", { ipv6: IPV6 })).toEqual([
      "# Portreeve config for nas",
      "# inbound: yes",
      "",
      "[Interface]",
      "Address = 10.59.7.2/24, fd12:3456:789a:1::a3b:702/64",
      `PrivateKey = ${PRIVATE_KEY}`,
      "Table = off",
      "PostUp = ip -4 route replace default dev %i table 171640578",
      "PostUp = ip -4 rule del from 10.59.7.2 table 171640578 2>/dev/null || true; ip -4 rule add from 10.59.7.2 table 171640578",
      "PostDown = ip -4 rule del from 10.59.7.2 table 171640578",
      "PostUp = ip -6 route replace default dev %i table 171640578",
      "PostUp = ip -6 rule del from fd12:3456:789a:1::a3b:702 table 171640578 2>/dev/null || true; ip -6 rule add from fd12:3456:789a:1::a3b:702 table 171640578",
      "PostDown = ip -6 rule del from fd12:3456:789a:1::a3b:702 table 171640578",
      "",
      "[Peer]",
      `PublicKey = ${PUBLIC_KEY}`,
      `PresharedKey = ${PSK}`,
      "AllowedIPs = 0.0.0.0/0, ::/0",
      "Endpoint = 11.22.33.1:51820",
      "PersistentKeepalive = 25",
      "",
    ]);
    expect(linesOf("inbound")).toContain("AllowedIPs = 0.0.0.0/0");
  });

  it("sends everything, or what is for the subnet", () => {
    expect(linesOf("full")).toContain("AllowedIPs = 0.0.0.0/0, ::/0");
    expect(linesOf("split")).toContain("AllowedIPs = 10.59.7.0/24");
    expect(linesOf("split", { ipv6: IPV6 })).toContain("AllowedIPs = 10.59.7.0/24, fd12:3456:789a:1::/64");
    for (const profile of ["full", "split"] as const) expect(linesOf(profile)).toContain("DNS = 10.59.7.1");
  });

  it("has no DNS line where nobody answers", () => {
    for (const profile of ["starttunnel", "inbound", "full", "split"] as const) {
      expect(linesOf(profile, { dns: null }).filter((line) => line.startsWith("DNS"))).toEqual([]);
    }
  });

  it("is read back as what it was made of", () => {
    fc.assert(
      fc.property(clientConfigs, (config) => {
        const { interface: device, peers } = parseWgQuick(renderClientConfig(config));
        const [peer] = peers;
        expect(peers).toHaveLength(1);
        expect(peer).toMatchObject({
          publicKey: config.serverPublicKey,
          presharedKey: config.presharedKey,
          endpoint: config.endpoint,
          persistentKeepalive: 25,
        });
        expect(device.privateKey).toBe(config.privateKey);
        expect(device.addresses[0]).toBe(`${config.address}/${lengthOf(config.subnet)}`);
        expect(device.addresses.length).toBe(config.ipv6 === null ? 1 : 2);
        expect(device.dns).toEqual(config.dns === null || config.profile === "inbound" ? [] : [config.dns]);
        expect(device.comments.some((comment) => comment.endsWith(` config for ${config.deviceName}`))).toBe(true);
        expect(device.comments.includes("inbound: yes")).toBe(config.profile === "inbound");
        expect(device.table).toBe(config.profile === "inbound" ? "off" : null);
        expect(device.hooks.length).toBe(config.profile !== "inbound" ? 0 : config.ipv6 === null ? 3 : 6);
        const everything = config.profile === "inbound" || config.profile === "full";
        expect(peer?.allowedIps[0]).toBe(everything ? "0.0.0.0/0" : parseAllowedIp(config.subnet));
      }),
    );
  });
});
