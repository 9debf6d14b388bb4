import { describe, expect, it } from "vitest";
import { defaultRoutes } from "../../../../src/adapters/kernel/router-advertisements.ts";

const ZERO = "0".repeat(32);
/** As /proc/net/ipv6_route prints a route (net/ipv6/route.c). */
const route = (destination: string, length: string, flags: string, name: string): string =>
  `${destination} ${length} ${ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 ${flags} ${name.padStart(8)}`;

describe("IPv6 default routes", () => {
  it("are those that lead somewhere, and say whether the kernel learnt them from a router", () => {
    const text = [
      // The kernel's own last route, that there always is.
      route(ZERO, "00", "00200200", "lo"),
      route(ZERO, "00", "00450003", "wan0"),
      route(ZERO, "00", "00000003", "wan1"),
      route("fd000000000000000000000000000000", "40", "00450001", "wan2"),
      "",
    ].join("\n");
    expect(defaultRoutes(text)).toEqual([
      { interface: "wan0", learnt: true },
      { interface: "wan1", learnt: false },
    ]);
    expect(defaultRoutes("")).toEqual([]);
  });
});
