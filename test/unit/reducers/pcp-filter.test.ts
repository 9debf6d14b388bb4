import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Claim, PeerFilter } from "../../../src/events/mapping.ts";
import {
  type Ipv4Prefix,
  parseIpv4,
  parseIpv4Prefix,
  prefixContains,
  prefixesOverlap,
  prefixText,
} from "../../../src/lib/ip.ts";
import { tableGet } from "../../../src/lib/table.ts";
import type { MapRequest } from "../../../src/reducers/decide/command.ts";
import { admittedPeers, isOpen } from "../../../src/reducers/reach.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import type { Mapping } from "../../../src/reducers/state.ts";
import { messageOf, Remembering } from "./remembering.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NONCE,
  OTHER_NONCE,
  portAdd,
  refusalOf,
  T0,
  upnpMap,
  WAN_ADDRESS,
} from "./given.ts";

const select = selectForwards("0123456789abcdef");
const filter = (prefix: string, port: number | null = null): PeerFilter => ({ prefix, port });
const OFFICE = filter("203.0.113.0/24");
const PHONE = filter("198.51.100.7/32", 5060);

const filtersOf = (gateway: Gateway, id: string): unknown =>
  tableGet(gateway.state.mappings, id)?.claims.map(({ filters }) => filters);

/** Rows that say who reaches port 9000, without those two words. */
const reached = (gateway: Gateway): string[] =>
  [...select(gateway.state).rows()]
    .map(({ key }) => key)
    .filter((key) => /^(?:restricted|allowed|allowedPort)\|/.test(key))
    .map((key) => key.replace(`|${WAN_ADDRESS}|tcp|9000-9000`, ""))
    .sort();

const ask = (gateway: Gateway, filters: MapRequest["filters"], fields: Partial<MapRequest> = {}) =>
  gateway.map({ suggestedPort: 9000, filters, ...fields });

describe("FILTER", () => {
  it("[P4] PCP-S-29 lets in whom it names, and nobody else", () => {
    const gateway = new Gateway();
    ask(gateway, [OFFICE, PHONE]);
    expect(reached(gateway)).toEqual(["allowedPort|198.51.100.7/32|5060", "allowed|203.0.113.0/24", "restricted"]);
  });

  it("[P4] PCP-S-30 filters add up over requests, and their order within one matters", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(ask(gateway, [OFFICE]));
    expect(eventsOf(ask(gateway, [PHONE]))).toEqual(["lease.changed"]);
    expect(filtersOf(gateway, mappingId)).toEqual([[OFFICE, PHONE]]);
    ask(gateway, ["clear", PHONE]);
    expect(filtersOf(gateway, mappingId)).toEqual([[PHONE]]);
    ask(gateway, [OFFICE, "clear"]);
    expect(filtersOf(gateway, mappingId)).toEqual([[]]);
    expect(reached(gateway)).toEqual([]);
  });

  it("[P4] a renewal without it, or with what is so already, changes nothing and is no event", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(ask(gateway, [OFFICE]));
    expect(eventsOf(ask(gateway, []))).toEqual([]);
    expect(eventsOf(ask(gateway, [OFFICE]))).toEqual([]);
    expect(eventsOf(ask(gateway, ["clear", OFFICE]))).toEqual([]);
    expect(filtersOf(gateway, mappingId)).toEqual([[OFFICE]]);
  });

  it("[P4] PCP-S-31 PCP-S-32 more filters than a mapping may have: none of them is taken", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(ask(gateway, [OFFICE]));
    const many = Array.from({ length: 16 }, (_, host) => filter(`192.0.2.${host}/32`));
    expect(refusalOf(ask(gateway, many)).code).toBe("TOO_MANY_FILTERS");
    expect(filtersOf(gateway, mappingId)).toEqual([[OFFICE]]);
    expect(eventsOf(ask(gateway, ["clear", ...many]))).toEqual(["lease.changed"]);
    expect(refusalOf(ask(new Gateway(), [OFFICE, ...many])).code).toBe("TOO_MANY_FILTERS");
  });

  it("[P4] PCP-S-33 is not confirmed on an operator's forward, who lets in whom he likes", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 9000, internalPort: 8080 }));
    expect(refusalOf(ask(gateway, [OFFICE])).code).toBe("NOT_AUTHORIZED");
    expect(eventsOf(ask(gateway, ["clear"]))).toEqual([]);
    expect(refusalOf(gateway.do(upnpMap({ remoteHost: "203.0.113.9" }))).code).toBe("PORT_TAKEN");
  });

  it("[P4] each claim of one device wants its own peers, and all of them come in", () => {
    const gateway = new Gateway({}, "same-host");
    ask(gateway, [OFFICE]);
    ask(gateway, [PHONE], { nonce: OTHER_NONCE });
    expect(reached(gateway)).toEqual(["allowedPort|198.51.100.7/32|5060", "allowed|203.0.113.0/24", "restricted"]);
    gateway.unmap({ nonce: OTHER_NONCE });
    expect(reached(gateway)).toEqual(["allowed|203.0.113.0/24", "restricted"]);
    gateway.do(upnpMap({ externalPort: 9000 }));
    expect(reached(gateway)).toEqual([]);
  });

  it("[P9] IGD-06 an UPnP remote host is the one that comes in", () => {
    const gateway = new Gateway();
    gateway.do(upnpMap({ remoteHost: "198.51.100.7" }));
    expect(reached(gateway)).toEqual(["allowed|198.51.100.7/32", "restricted"]);
  });

  it("[P4] [F2] kept by an operator it lets in whom it let in, until it is said anew; undo knows both", () => {
    const gateway = new Remembering({}, "same-host");
    const { mappingId: id } = mapped(ask(gateway, [OFFICE]));
    ask(gateway, [PHONE], { nonce: OTHER_NONCE });
    const peers = reached(gateway);
    gateway.do({ type: "port.keep", id });
    expect(reached(gateway)).toEqual(peers);
    gateway.unmap();
    gateway.unmap({ nonce: OTHER_NONCE });
    expect(reached(gateway)).toEqual(peers);
    const hash = contentHash(gateway.state);
    gateway.do({ type: "port.edit", id, from: ["0.0.0.0/0"] });
    expect(reached(gateway)).toEqual([]);
    expect(eventsOf(gateway.do({ type: "port.edit", id, from: [] }))).toEqual([]);
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    expect([reached(gateway), contentHash(gateway.state)]).toEqual([peers, hash]);
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    expect(reached(gateway)).toEqual([]);
  });

  it("[P4] [F2] what its device has closed for now is not opened by being kept", () => {
    const gateway = new Gateway();
    const { mappingId: id } = mapped(gateway.do(upnpMap({ enabled: false })));
    gateway.do({ type: "port.keep", id });
    expect(tableGet(gateway.state.mappings, id)?.enabled).toBe(false);
    gateway.do({ type: "port.edit", id, enabled: true });
    expect(isOpen(tableGet(gateway.state.mappings, id) as Mapping)).toBe(true);
  });

  it("[P4] [F2] more peers than one claim may have are not kept", () => {
    const gateway = new Gateway({}, "same-host");
    const hosts = (first: number) => Array.from({ length: 16 }, (_, host) => filter(`192.0.2.${first + host}/32`));
    const { mappingId: id } = mapped(ask(gateway, hosts(0)));
    ask(gateway, hosts(16), { nonce: OTHER_NONCE });
    expect(refusalOf(gateway.do({ type: "port.keep", id })).code).toBe("TOO_MANY_FILTERS");
  });

  it("[P4] an operator's `from` cuts what a device lets in", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(ask(gateway, [OFFICE, filter("11.0.0.0/8", 53)]));
    gateway.do({ type: "port.keep", id: mappingId });
    gateway.do({ type: "port.edit", id: mappingId, from: ["203.0.113.128/25", "11.22.0.0/16"] });
    // The operator's claim wants everyone, within that.
    expect(reached(gateway)).toEqual(["allowed|11.22.0.0/16", "allowed|203.0.113.128/25", "restricted"]);
  });

  it("[P4] rows follow each change, and the one before it knows which", () => {
    const gateway = new Gateway();
    ask(gateway, [OFFICE]);
    const before = select(gateway.state);
    ask(gateway, ["clear", PHONE]);
    const changed = [...(select(gateway.state).changedSince(before) ?? [])];
    const place = `${WAN_ADDRESS}|tcp|9000-9000`;
    expect(changed).toEqual(
      expect.arrayContaining([`allowed|${place}|203.0.113.0/24`, `allowedPort|${place}|198.51.100.7/32|5060`]),
    );
    expect(select(gateway.state).get(`restricted|${place}`)?.revision).toBe(gateway.state.seq);
  });
});

const address = fc.integer({ min: 0, max: 15 }).map((low) => 0xc0000200 + low);
const prefix = fc.record({ address, length: fc.constantFrom(0, 28, 29, 30, 31, 32) }).map(prefixText);
const peerFilter = fc.record({ prefix, port: fc.constantFrom(null, null, 53, 5060) });
const claims = fc.array(fc.record({ filters: fc.array(peerFilter, { maxLength: 4 }), enabled: fc.boolean() }), {
  minLength: 1,
  maxLength: 3,
});
/** As an operator's are kept: none within another. */
const from = fc
  .array(
    prefix.filter((text) => !text.endsWith("/0")),
    { maxLength: 3 },
  )
  .filter((all) => all.every((one, index) => all.slice(index + 1).every((other) => !overlap(one, other))));

const parsed = (text: string): Ipv4Prefix => parseIpv4Prefix(text) as Ipv4Prefix;
const overlap = (one: string, other: string): boolean => prefixesOverlap(parsed(one), parsed(other));

function claimWith(wish: { filters: PeerFilter[]; enabled: boolean }, index: number): Claim {
  const end = { lifetime: 600, expiresAt: T0 };
  const who = { source: "pcp", device: DEVICE, nonce: NONCE, clientPort: null, description: null } as const;
  return { key: `pcp:${index}`, ...who, ...end, ...wish };
}

it("[P4] never wider than asked and never narrower: any claims, any operator's networks, any peer", () => {
  fc.assert(
    fc.property(claims, from, (wishes, networks) => {
      const mapping = { from: networks, claims: wishes.map(claimWith) };
      const peers = admittedPeers(mapping);
      const open = wishes.filter(({ enabled }) => enabled);
      if (open.length === 0) return;
      for (let low = 0; low < 16; low += 1) {
        for (const port of [53, 5060, 6000]) {
          const peer = parseIpv4(`192.0.2.${low}`) as number;
          const isIn = (text: string): boolean => prefixContains(parsed(text), peer);
          const matches = (each: PeerFilter): boolean => isIn(each.prefix) && (each.port ?? port) === port;
          const operator = networks.length === 0 || networks.some(isIn);
          const wanted = open.some(({ filters }) => filters.length === 0 || filters.some(matches));
          expect(peers === null || peers.some(matches), `192.0.2.${low}:${port}`).toBe(operator && wanted);
        }
      }
      // The kernel takes no two elements of one set that overlap.
      for (const [index, one] of (peers ?? []).entries()) {
        for (const other of peers?.slice(index + 1) ?? []) {
          expect(one.port === other.port && overlap(one.prefix, other.prefix)).toBe(false);
        }
      }
    }),
    { numRuns: 500 },
  );
});
