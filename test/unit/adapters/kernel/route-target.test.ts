import { describe, expect, it } from "vitest";
import { failedCommands, type IpBatch } from "../../../../src/adapters/kernel/ip-batch.ts";
import { createRouteTarget } from "../../../../src/adapters/kernel/route-target.ts";
import type { Plan } from "../../../../src/reconcilers/contract.ts";
import { returnPathRows, routeKey } from "../../../../src/reducers/select/route-rows.ts";
import type { RouteRow } from "../../../../src/reducers/select/rows.ts";

const { signal } = new AbortController();
const ADDRESS: RouteRow = { kind: "address", interface: "wg0", address: "10.59.7.1/24" };
const ROUTE: RouteRow = { kind: "route", table: 1001, prefix: "0.0.0.0/0", interface: "wan1", gateway: "11.22.44.2" };
const RULE: RouteRow = { kind: "rule", priority: 1001, mark: 0x100000, mask: 0xf00000, table: 1001 };
const PROXY: RouteRow = { kind: "neighbour", interface: "wan0", address: "2001:db8::5" };

const create = (...rows: RouteRow[]): Plan<RouteRow, RouteRow> =>
  rows.map((spec) => {
    const key = routeKey(spec);
    return { op: "create", key, desired: { key, spec, owners: ["test"], revision: 1 } };
  });
const remove = (...rows: RouteRow[]): Plan<RouteRow, RouteRow> =>
  rows.map((observed) => ({ op: "delete", key: routeKey(observed), observed }));

/** `ip` that was asked, and what it says to each command of each process. */
function played(...replies: readonly { stdout?: string; errors?: Record<number, string> }[]) {
  const asked: string[][] = [];
  const ip: IpBatch = (_options, commands) => {
    const { stdout = "", errors = {} } = replies[Math.min(asked.length, replies.length - 1)] ?? {};
    asked.push([...commands]);
    return Promise.resolve({ stdout, errors: new Map(Object.entries(errors).map(([at, said]) => [Number(at), said])) });
  };
  return { asked, target: createRouteTarget({ tunnel: () => "wg0", keyOf: routeKey, ip }) };
}

describe("route target", () => {
  it("reads all there is of ours in one process, and nothing of others", async () => {
    const { asked, target } = played({
      stdout: [
        '[{"dst":"default","gateway":"11.22.44.2","dev":"wan1","table":"1001","flags":[]},{"dst":"fd02::5","dev":"wg0"}]',
        '[{"priority":0,"src":"all","table":"255"},{"priority":1001,"fwmark":"0x100000","fwmask":"0xf00000","table":"1001","protocol":"191"}]',
        '[{"dst":"2001:db8::5","dev":"wan0","proxy":null,"protocol":"191"},{"dst":"2001:db8::6","dev":"wan0","proxy":null}]',
        '[{"ifname":"wg0","addr_info":[{"local":"10.59.7.1","prefixlen":24,"scope":"0"},{"local":"fe80::1","prefixlen":64,"scope":"253"}]}]',
      ].join("\n"),
    });
    const rows = await target.observe(signal);
    const host: RouteRow = { kind: "route", table: 254, prefix: "fd02::5/128", interface: "wg0", gateway: null };
    expect([...rows.values()]).toEqual([ROUTE, host, RULE, PROXY, ADDRESS]);
    expect(asked).toHaveLength(1);
  });

  it("writes a whole plan in one process", async () => {
    const { asked, target } = played({});
    const outcomes = await target.apply(create(ADDRESS, ROUTE, RULE, PROXY), signal);
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(asked).toEqual([
      [
        "address replace 10.59.7.1/24 dev wg0",
        "route replace 0.0.0.0/0 via 11.22.44.2 dev wan1 table 1001 proto 191 onlink",
        "rule add priority 1001 fwmark 0x100000/0xf00000 lookup 1001 protocol 191",
        "neigh replace proxy 2001:db8::5 dev wan0 protocol 191",
      ],
    ]);
  });

  it("reads and writes what sends a source or a mark nowhere else", async () => {
    const refused: RouteRow = { kind: "unreachable", table: 1001, prefix: "0.0.0.0/0" };
    const source = { kind: "source", from: "11.22.44.1" } as const;
    const specific: RouteRow = { ...source, priority: 1002, table: 254, specific: true };
    const any: RouteRow = { ...source, priority: 1003, table: 1001, specific: false };
    // As iproute2 6.1 prints them with -N.
    const { target } = played({
      stdout: [
        '[{"type":"7","dst":"default","table":"1001","metric":4294967295,"flags":[]}]',
        '[{"priority":1002,"src":"11.22.44.1","table":"254","suppress_prefixlen":0,"protocol":"191"},{"priority":1003,"src":"11.22.44.1","table":"1001","protocol":"191"}]',
        "[]",
        "[]",
      ].join("\n"),
    });
    expect([...(await target.observe(signal)).values()]).toEqual([refused, specific, any]);
    const written = played({});
    await written.target.apply([...create(refused, specific, any), ...remove(refused, specific)], signal);
    expect(written.asked).toEqual([
      [
        "route replace unreachable 0.0.0.0/0 table 1001 metric 4294967295 proto 191",
        "rule add priority 1002 from 11.22.44.1 lookup 254 suppress_prefixlength 0 protocol 191",
        "rule add priority 1003 from 11.22.44.1 lookup 1001 protocol 191",
        "route delete unreachable 0.0.0.0/0 table 1001 metric 4294967295 proto 191",
        "rule delete priority 1002 from 11.22.44.1 lookup 254 suppress_prefixlength 0 protocol 191",
      ],
    ]);
  });

  it("reads and writes the way back to our own proxy, by the interface that a packet came by", async () => {
    const rows = [...returnPathRows(["lan0", "wg0"])];
    expect(new Set(rows.map(routeKey)).size).toBe(3);
    // As iproute2 6.1 prints them with -N; an interface that is not there is still one.
    const { target } = played({
      stdout: [
        '[{"type":"2","dst":"default","dev":"lo","table":"19099","flags":[]}]',
        '[{"priority":19099,"src":"all","fwmark":"0x1000000","fwmask":"0xff000000","iif":"lan0","table":"19099","protocol":"191"},' +
          '{"priority":19099,"src":"all","fwmark":"0x1000000","fwmask":"0xff000000","iif":"wg0","iif_detached":null,"table":"19099","protocol":"191"}]',
        "[]",
        "[]",
      ].join("\n"),
    });
    expect([...(await target.observe(signal)).values()]).toEqual(rows);
    const written = played({});
    await written.target.apply([...create(...rows), ...remove(...rows.slice(0, 2))], signal);
    expect(written.asked).toEqual([
      [
        "route replace local 0.0.0.0/0 dev lo table 19099 proto 191",
        "rule add priority 19099 iif lan0 fwmark 0x1000000/0xff000000 lookup 19099 protocol 191",
        "rule add priority 19099 iif wg0 fwmark 0x1000000/0xff000000 lookup 19099 protocol 191",
        "route delete local 0.0.0.0/0 dev lo table 19099 proto 191",
        "rule delete priority 19099 iif lan0 fwmark 0x1000000/0xff000000 lookup 19099 protocol 191",
      ],
    ]);
  });

  it("replaces a route where it is, so that no packet meets the table without it", async () => {
    const { asked, target } = played({});
    const key = routeKey(ROUTE);
    const spec = { ...ROUTE, gateway: "11.22.44.3" } as RouteRow;
    await target.apply(
      [{ op: "update", key, observed: ROUTE, desired: { key, spec, owners: ["test"], revision: 2 } }],
      signal,
    );
    expect(asked).toEqual([["route replace 0.0.0.0/0 via 11.22.44.3 dev wan1 table 1001 proto 191 onlink"]]);
  });

  it("lets a refused row fail alone, and takes what is gone or there already as done", async () => {
    const { target } = played({
      errors: { 0: "RTNETLINK answers: File exists", 2: "Error: ipv4: Address not found." },
    });
    const done = await target.apply([...create(RULE, ROUTE), ...remove(ADDRESS)], signal);
    expect(done.map(({ ok }) => ok)).toEqual([true, true, true]);
    const other = played({ errors: { 1: "RTNETLINK answers: Network is unreachable" } });
    const refused = await other.target.apply(create(ADDRESS, ROUTE), signal);
    expect(refused).toMatchObject([{ ok: true }, { ok: false, error: { code: "EIO", disposition: "transient" } }]);
  });

  it("waits for an interface that is in the making, with its rows alone", async () => {
    const { asked, target } = played({ errors: { 0: 'Cannot find device "wg0"' } }, {});
    const outcomes = await target.apply(create(ADDRESS, ROUTE), signal);
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(asked.map((commands) => commands.length)).toEqual([2, 1]);
  });

  it("tells which of many commands failed, and why", () => {
    const stderr = 'Cannot find device "wg0"\nCommand failed -:1\nError: a.\nmore\nCommand failed -:12\n';
    expect([...failedCommands(stderr)]).toEqual([
      [0, 'Cannot find device "wg0"'],
      [11, "Error: a.; more"],
    ]);
  });
});
