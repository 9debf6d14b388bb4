import fc from "fast-check";
import { expect, it } from "vitest";
import type { Decision } from "../../../src/reducers/decide/command.ts";
import { upnpEntries } from "../../../src/reducers/select/upnp-entries.ts";
import { DEVICE, Gateway, mapped, OTHER_DEVICE, upnpMap } from "./given.ts";

/**
 * WANIPConnection:2 §2.5.16 to §2.5.19 on entries alone: no mappings, claims or indexes. Two clients, five external and
 * two internal ports, so that they are in each other's way all the time.
 */
interface Entry {
  readonly client: string;
  readonly internalPort: number;
  readonly remoteHosts: Map<string, { enabled: boolean; description: string }>;
}

class Table {
  /** By external port; in the order they were made. */
  readonly entries = new Map<number, Entry>();

  /** What AddPortMapping does at this very port. */
  add(port: number, client: string, internalPort: number, said: Said): string {
    const there = this.entries.get(port);
    if (there !== undefined && there.client !== client) return "PORT_TAKEN";
    if (there !== undefined && there.internalPort !== internalPort) {
      if ([...there.remoteHosts.keys()].some((host) => host !== said.remoteHost)) return "PORT_TAKEN";
      this.entries.delete(port);
    }
    const entry = this.entries.get(port) ?? { client, internalPort, remoteHosts: new Map() };
    this.entries.set(port, entry);
    entry.remoteHosts.set(said.remoteHost, { enabled: said.enabled, description: said.description });
    return "done";
  }

  delete(port: number, client: string, remoteHost: string): string {
    const there = this.entries.get(port);
    if (there === undefined) return "NOT_FOUND";
    if (there.client !== client) return "NOT_AUTHORIZED";
    if (!there.remoteHosts.delete(remoteHost)) return "NOT_FOUND";
    if (there.remoteHosts.size === 0) this.entries.delete(port);
    return "done";
  }

  deleteRange(first: number, last: number, client: string): string {
    const mine = [...this.entries].filter(([port, entry]) => port >= first && port <= last && entry.client === client);
    for (const [port] of mine) this.entries.delete(port);
    return mine.length === 0 ? "NOT_FOUND" : "done";
  }

  listing(client: string): string[] {
    const rows = [...this.entries].filter(([, entry]) => entry.client === client);
    return rows
      .flatMap(([port, { internalPort, remoteHosts }]) =>
        [...remoteHosts].map(([host, { enabled, description }]) =>
          [host, port, internalPort, enabled, description].join(" "),
        ),
      )
      .sort();
  }
}

interface Said {
  readonly remoteHost: string;
  readonly enabled: boolean;
  readonly description: string;
}

const client = fc.constantFrom(DEVICE, OTHER_DEVICE);
const port = fc.integer({ min: 2000, max: 2004 });
const internalPort = fc.constantFrom(3000, 3001);
const remoteHost = fc.constantFrom("", "", "198.51.100.7", "198.51.100.8");
const description = fc.constantFrom("a", "b");

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constantFrom("add" as const, "add" as const, "any" as const),
      client,
      port,
      internalPort,
      remoteHost,
      enabled: fc.boolean(),
      description,
    }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("delete" as const), client, port, remoteHost }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("range" as const), client, port, span: fc.nat(4) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never;

const outcome = (decision: Decision): string => (decision.ok ? "done" : decision.refusal.code);

function addAny(table: Table, gateway: Gateway, each: Extract<Step, { act: "add" | "any" }>): void {
  const decision = gateway.do(mapOf(each, true));
  const { externalPort } = mapped(decision);
  const exact = table.add(each.port, each.client, each.internalPort, each);
  if (exact === "done") {
    expect(externalPort).toBe(each.port);
    return;
  }
  const own = [...table.entries].filter(
    ([, entry]) => entry.client === each.client && entry.internalPort === each.internalPort,
  );
  // One that it has for this internal port, of the same remote host before another; or one that nobody has.
  const same = own.filter(([, { remoteHosts }]) => remoteHosts.has(each.remoteHost));
  const expected = (same.length > 0 ? same : own).map(([mine]) => mine);
  if (expected.length > 0) expect(expected).toContain(externalPort);
  else expect(table.entries.has(externalPort)).toBe(false);
  expect(table.add(externalPort, each.client, each.internalPort, each)).toBe("done");
}

const mapOf = (each: Extract<Step, { act: "add" | "any" }>, any: boolean) =>
  upnpMap({
    any,
    device: each.client,
    externalPort: each.port,
    internalPort: each.internalPort,
    remoteHost: each.remoteHost === "" ? null : each.remoteHost,
    enabled: each.enabled,
    description: each.description,
  });

function play(table: Table, gateway: Gateway, each: Step): void {
  const who = { interface: "lan0", device: each.client, protocol: "tcp" } as const;
  switch (each.act) {
    case "any":
      return addAny(table, gateway, each);
    case "add": {
      const expected = table.add(each.port, each.client, each.internalPort, each);
      return expect(outcome(gateway.do(mapOf(each, false)))).toBe(expected);
    }
    case "delete": {
      const host = each.remoteHost === "" ? null : each.remoteHost;
      const command = { type: "upnpUnmap", ...who, externalPort: each.port, remoteHost: host } as const;
      return expect(outcome(gateway.do(command))).toBe(table.delete(each.port, each.client, each.remoteHost));
    }
    case "range": {
      const [firstPort, lastPort] = [each.port, each.port + each.span];
      const decision = gateway.do({ type: "upnpUnmapRange", ...who, firstPort, lastPort });
      return expect(outcome(decision)).toBe(table.deleteRange(firstPort, lastPort, each.client));
    }
  }
}

it("[P9] IGD-01 to IGD-03, IGD-09: any history of two clients gives the entries that the text says", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const gateway = new Gateway({ quarantine: 0 });
      const table = new Table();
      for (const each of steps) {
        play(table, gateway, each);
        for (const device of [DEVICE, OTHER_DEVICE]) {
          const listed = upnpEntries(gateway.state, gateway.leases, { interface: "lan0", device }, gateway.now).map(
            (entry) =>
              [entry.remoteHost, entry.externalPort, entry.internalPort, entry.enabled, entry.description].join(" "),
          );
          expect(listed.sort()).toEqual(table.listing(device));
        }
      }
    }),
    { numRuns: 150 },
  );
});
