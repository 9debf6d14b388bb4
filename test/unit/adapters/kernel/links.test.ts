import { describe, expect, it } from "vitest";
import { defaultHops, subjectOf } from "../../../../src/adapters/kernel/links.ts";

it("[F24] a line of `ip monitor` names its interface or the default routes, and nothing else does", () => {
  // As iproute2 6.1 prints them.
  const lines: [string, string | null][] = [
    ["3: wan0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default ", "wan0"],
    ["    link/ether 2e:56:84:94:0b:60 brd ff:ff:ff:ff:ff:ff link-netnsid 0", null],
    ["Deleted 3: wan0    inet 11.22.33.1/24 scope global wan0", "wan0"],
    ["12: eth0.7    inet6 fe80::2c56:84ff:fe94:b60/64 scope link tentative ", "eth0.7"],
    ["       valid_lft forever preferred_lft forever", null],
    ["Deleted 3: ppp0@NONE: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default ", "ppp0"],
    ["default via 11.22.33.2 dev wan0 ", "default"],
    ["Deleted default via 11.22.33.2 dev wan0 ", "default"],
    ["local 11.22.33.1 dev wan0 table local proto kernel scope host src 11.22.33.1 ", null],
    ["", null],
  ];
  expect(lines.map(([line]) => subjectOf(line))).toEqual(lines.map(([, subject]) => subject));
});

describe("default routes", () => {
  it("[W5] of others are ways out: by the main table first, by metric; also of several hops, and in other tables", () => {
    // As iproute2 6.1 prints `ip -json -4 route show table all default`.
    const hops = defaultHops([
      { dst: "default", gateway: "11.22.44.2", dev: "wan1", table: "19107", protocol: "191", flags: ["onlink"] },
      { type: "unreachable", dst: "default", table: "19107", protocol: "191", metric: 4294967295, flags: [] },
      { dst: "default", dev: "ppp0", table: "78", protocol: "77", scope: "link", flags: [] },
      { dst: "default", gateway: "11.22.33.2", dev: "wan0", metric: 5, flags: [] },
      {
        dst: "default",
        metric: 9,
        flags: [],
        nexthops: [
          { gateway: "11.22.33.3", dev: "wan0", weight: 1, flags: [] },
          { gateway: "11.22.44.3", dev: "wan1", weight: 1, flags: [] },
        ],
      },
      { dst: "default", gateway: "11.22.55.2", dev: "wan2", flags: ["linkdown"] },
      { dst: "default", via: { family: "inet6", host: "fe80::1" }, dev: "wan3", metric: 20, flags: [] },
    ]);
    expect(hops.map(({ dev, gateway, main }) => `${dev} ${gateway} ${main}`)).toEqual([
      "wan2 null true",
      "wan0 11.22.33.2 true",
      "wan0 11.22.33.3 true",
      "wan1 11.22.44.3 true",
      "wan3 null true",
      "ppp0 link false",
    ]);
  });
});
