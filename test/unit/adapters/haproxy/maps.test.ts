import { describe, expect, it } from "vitest";
import { FILES } from "../../../../src/adapters/haproxy/config.ts";
import {
  entriesOf,
  faultOf,
  fileText,
  parseListing,
  rowsOf,
  segmentsOf,
} from "../../../../src/adapters/haproxy/maps.ts";
import { type SniRow, sniRowKey } from "../../../../src/lib/sni-row.ts";

const towards = { toAddress: "192.168.77.2", toPort: 8443, source: "keep" } as const;
const route = (name: string, more = {}): SniRow => ({
  kind: "route",
  address: "11.22.33.1",
  port: 443,
  name,
  ...towards,
  ...more,
});
const ROWS: readonly SniRow[] = [
  route("a.example.com"),
  route("*.example.com", { source: "gateway" }),
  route("a.example.com", { port: 8443 }),
  { kind: "fallback", address: "11.22.33.1", port: 443, ...towards },
  { kind: "redirect", address: "11.22.33.1" },
];

describe("rows in HAProxy's maps", () => {
  it("come back as they were", () => {
    const entries = ROWS.flatMap(entriesOf).map((entry, index) => ({ ...entry, reference: `0x${index}` }));
    expect(rowsOf(entries)).toEqual(new Map(ROWS.map((row) => [sniRowKey(row), row])));
  });

  it("are read from what HAProxy lists", () => {
    const text = "0x7f7d2c 11.22.33.1:443/a.example.com 192.168.77.2:8443:keep\n0x7f7d3c x y z\n\n";
    expect(parseListing(FILES.routes, text)).toEqual([
      {
        map: FILES.routes,
        reference: "0x7f7d2c",
        key: "11.22.33.1:443/a.example.com",
        value: "192.168.77.2:8443:keep",
      },
      { map: FILES.routes, reference: "0x7f7d3c", key: "x", value: "y z" },
    ]);
  });

  it("are astray where no row of ours is written so", () => {
    const keys = ["11.22.33.1:0443/a.net", "11.22.33.1/a.net", "a.net", "11.22.33.1:443"];
    const entries = keys.map((key, index) => ({
      map: FILES.routes,
      key,
      value: "192.168.77.2:8443:keep",
      reference: `0x${index}`,
    }));
    const wrongValue = { map: FILES.routes, key: "11.22.33.1:443/a.net", value: "192.168.77.2", reference: "0x9" };
    const found = rowsOf([...entries, wrongValue]);
    expect([...found.values()].map(({ kind }) => kind)).toEqual(Array(5).fill("stray"));
  });

  it("are the segments of the proxy's row, in their order", () => {
    const proxy: SniRow = { kind: "proxy", instanceId: "0011223344556677", segments: ["10.0.0.0/8", "192.168.0.0/24"] };
    const entries = entriesOf(proxy).map((entry, index) => ({ ...entry, reference: `0x${index}` }));
    expect(segmentsOf(entries.reverse())).toEqual(proxy.segments);
    expect(fileText(FILES.segments, entries.reverse())).toBe("10.0.0.0/8 10.0.0.0/8\n192.168.0.0/24 192.168.0.0/24\n");
    expect(fileText(FILES.routes, entries)).toBe("");
  });

  it("are refused where HAProxy would take them for something else", () => {
    for (const row of ROWS) expect(faultOf(row), sniRowKey(row)).toBeNull();
    const names = [
      "",
      "A.example.com",
      "a b",
      "a\nb",
      "*.*.example.com",
      "a.*",
      "*",
      "-",
      "1.2.3.4",
      "a..b",
      "a.",
      "é.net",
    ];
    for (const name of [...names, "a".repeat(64), `${"a.".repeat(127)}a`]) {
      expect(faultOf(route(name)), name).not.toBeNull();
    }
    for (const more of [{ port: 0 }, { toPort: 65_536 }, { address: "::1" }, { toAddress: "1.2.3" }]) {
      expect(faultOf(route("a.example.com", more))).not.toBeNull();
    }
    expect(faultOf({ kind: "proxy", instanceId: "0011223344556677", segments: ["x"] })).not.toBeNull();
    expect(faultOf({ kind: "redirect", address: "x" })).not.toBeNull();
  });
});
