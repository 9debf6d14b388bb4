import { describe, expect, it } from "vitest";
import { isOnLink, type Listener } from "../../../src/lib/served-address.ts";

const lan0: Listener = { interface: "lan0", address: "192.168.77.1", ifindex: 3, subnet: "192.168.77.0/24" };
const lan0Second: Listener = { interface: "lan0", address: "10.1.0.1", ifindex: 3, subnet: "10.1.0.1/16" };
const lan1: Listener = { interface: "lan1", address: "192.168.78.1", ifindex: 4, subnet: "192.168.78.0/24" };
const links = [lan0, lan0Second, lan1];

describe("on-link sources", () => {
  it("NPMP-S-19 are those in a network of the interface the datagram came in on", () => {
    expect(isOnLink(links, "lan0", "192.168.77.2")).toBe(true);
    expect(isOnLink(links, "lan0", "10.1.255.9")).toBe(true);
    expect(isOnLink(links, "lan1", "192.168.78.2")).toBe(true);
    expect(isOnLink(links, "lan0", "192.168.78.2")).toBe(false);
    expect(isOnLink(links, "lan1", "10.1.0.9")).toBe(false);
    expect(isOnLink(links, "lan0", "11.22.33.2")).toBe(false);
    expect(isOnLink(links, "wan0", "192.168.77.2")).toBe(false);
  });

  it("are never the gateway's own addresses", () => {
    expect(isOnLink(links, "lan0", "192.168.77.1")).toBe(false);
    expect(isOnLink(links, "lan0", "10.1.0.1")).toBe(false);
  });

  it("are of IPv6 where the interface has a network of it", () => {
    expect(isOnLink(links, "lan0", "fe80::1")).toBe(false);
    const ipv6: Listener[] = [
      { interface: "lan0", address: "2001:db8:77::1", ifindex: 3, subnet: "2001:db8:77::1/64" },
      { interface: "lan0", address: "fe80::1", ifindex: 3, subnet: "fe80::1/64" },
    ];
    expect(isOnLink(ipv6, "lan0", "2001:db8:77::2")).toBe(true);
    expect(isOnLink(ipv6, "lan0", "fe80::2")).toBe(true);
    expect(isOnLink(ipv6, "lan0", "2001:db8:78::2")).toBe(false);
    expect(isOnLink(ipv6, "lan0", "2001:db8:77::1")).toBe(false);
    expect(isOnLink(ipv6, "lan0", "no address")).toBe(false);
  });
});
