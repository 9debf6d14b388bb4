import { describe, expect, it } from "vitest";
import { Networks } from "../../../src/lib/networks.ts";

describe("networks", () => {
  const networks = new Networks(["10.59.7.0/24", "192.0.2.8/30", "fd00:7::/64", "none"]);

  it.each(["10.59.7.0", "10.59.7.255", "192.0.2.11", "fd00:7::1", "fd00:7:0:0:ffff::"])("contain %s", (address) => {
    expect(networks.contain(address)).toBe(true);
  });

  it.each(["10.59.8.0", "192.0.2.12", "fd00:7:0:1::1", "::ffff:10.59.7.2", "none", ""])(
    "do not contain %j",
    (address) => {
      expect(networks.contain(address)).toBe(false);
    },
  );
});
