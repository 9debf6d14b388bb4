import { plainClaim, withoutDns, withUpnp } from "../events/upcast.ts";
import { assert } from "../lib/assert.ts";
import { REDUCER_VERSION } from "./state.ts";

/** Gives the JSON of a state as the next REDUCER_VERSION would have folded it. Pure. */
export type StateLift = (state: unknown) => unknown;

interface FirstState {
  readonly devices: Record<string, { readonly mappingIds: string[] }>;
  readonly byInternal: Record<string, string[]>;
  readonly mappings: Record<string, { readonly createdSeq: number }>;
  readonly settings: { readonly lan: object[] };
}

interface ThirdState {
  readonly interfaces: Record<string, object>;
}

interface FourthState {
  readonly seq: number;
  readonly settings: { readonly lan: object[] };
  readonly devices: Record<string, object>;
  readonly subnets: Record<string, object>;
}

interface FifthState {
  readonly settings: { readonly portControl: object };
  readonly mappings: Record<string, { readonly claims: object[] }>;
}

interface SixthState {
  readonly names: Record<
    string,
    { readonly name: string; readonly device: string | null; readonly records: readonly { readonly value: string }[] }
  >;
}

interface SeventhState {
  readonly mappings: Record<string, object>;
}

interface EighthState {
  readonly devices: Record<string, object>;
}

interface SecondState {
  readonly devices: Record<string, { readonly name: string; readonly publicKey: string | null }>;
}

/** Version 1 put an edited mapping behind younger ones. */
function sorted<Row extends string[] | { readonly mappingIds: string[] }>(
  rows: Readonly<Record<string, Row>>,
  withIds: (row: Row, ids: string[]) => unknown,
  mappings: FirstState["mappings"],
): Record<string, unknown> {
  const age = (id: string): number => mappings[id]?.createdSeq ?? 0;
  const entries = Object.entries(rows).map(([key, row]) => {
    const ids = Array.isArray(row) ? row : row.mappingIds;
    return [
      key,
      withIds(
        row,
        ids.toSorted((a, b) => age(a) - age(b)),
      ),
    ];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

/**
 * One step from each version below REDUCER_VERSION to the next, in order. Only the state that a compacted log begins
 * with needs them: every other snapshot of another version is passed over and folded again.
 */
const STATE_LIFTS: readonly StateLift[] = [
  // What an address has used was called a device before devices could be registered.
  (state) => {
    const { devices, byInternal, settings, ...rest } = state as FirstState;
    const { mappings } = rest;
    const visited = Object.entries(mappings).map(([id, mapping]) => [
      id,
      { ...mapping, sourceAddress: null, from: [] },
    ]);
    return {
      ...rest,
      mappings: Object.fromEntries(visited) as unknown,
      settings: { ...settings, lan: settings.lan.map((lan) => ({ ...lan, devices: "any" })), wireguard: null },
      usages: sorted(devices, (row, ids) => ({ ...(row as object), mappingIds: ids }), mappings),
      byInternal: sorted(byInternal, (_row, ids) => ids, mappings),
      devices: {},
      deviceAt: {},
      subnets: {},
      tunnelled: 0,
      servedRevision: 0,
      wireguard: null,
      allowances: {},
      confirmations: {},
      access: { password: null, totp: null, link: null, tokens: {}, authority: null },
    };
  },
  // Devices are found by name and by key.
  (state) => {
    const { devices, ...rest } = state as SecondState;
    const all = Object.entries(devices);
    const named = all.map(([id, { name }]) => [name, id]);
    const keyed = all.flatMap(([id, { publicKey }]) => (publicKey === null ? [] : [[publicKey, id]]));
    return {
      ...rest,
      devices,
      deviceNamed: Object.fromEntries(named) as unknown,
      deviceKeyed: Object.fromEntries(keyed) as unknown,
    };
  },
  // The gateway of a WAN was not looked at.
  (state) => {
    const { interfaces, ...rest } = state as ThirdState;
    const links = Object.entries(interfaces).map(([name, link]) => [name, { ...link, gateway: null }]);
    return { ...rest, interfaces: Object.fromEntries(links) as unknown };
  },
  // Nobody was served DNS.
  (state) => {
    const { settings, devices, subnets, ...rest } = state as FourthState;
    const each = (rows: Record<string, object>, more: object): unknown =>
      Object.fromEntries(Object.entries(rows).map(([id, row]) => [id, { ...row, ...more }]));
    return {
      ...rest,
      settings: { ...settings, ...withoutDns(settings) },
      devices: each(devices, { dnsKeySecret: null, zones: [] }),
      subnets: each(subnets, { zone: null }),
      names: {},
      recordNames: {},
      namesAt: {},
      namesOf: {},
      delegations: {},
      allowedNames: {},
      // What is served hangs on devices and subnets too: no earlier than their last event.
      dnsRevision: rest.seq,
    };
  },
  // A port was nobody's or somebody's whole, and reached by everyone; nobody was served UPnP.
  (state) => {
    const { settings, mappings, ...rest } = state as FifthState;
    const plain = Object.entries(mappings).map(([id, mapping]) => [
      id,
      { ...mapping, name: null, claims: mapping.claims.map(plainClaim) },
    ]);
    return {
      ...rest,
      settings: { ...settings, ...withUpnp(settings) },
      mappings: Object.fromEntries(plain) as unknown,
      shared: {},
    };
  },
  // What a device has published was counted whenever it asked for more.
  (state) => {
    const { names, ...rest } = state as SixthState;
    const published: Record<string, { records: number; characters: number }> = {};
    for (const { name, device, records } of Object.values(names)) {
      if (device === null) continue;
      const sum = (published[device] ??= { records: 0, characters: 0 });
      sum.records += records.length;
      for (const { value } of records) sum.characters += name.length + value.length;
    }
    return { ...rest, names, published };
  },
  // All hosts were IPv4 hosts.
  (state) => {
    const { mappings, ...rest } = state as SeventhState;
    const known = Object.entries(mappings).map(([id, mapping]) => [id, { ...mapping, host: null }]);
    return { ...rest, mappings: Object.fromEntries(known) as unknown };
  },
  // Nobody could ask for ports in the place of others.
  (state) => {
    const { devices, ...rest } = state as EighthState;
    const all = Object.entries(devices).map(([id, device]) => [id, { ...device, mapsFor: [] }]);
    return { ...rest, devices: Object.fromEntries(all) as unknown };
  },
];

assert(STATE_LIFTS.length === REDUCER_VERSION - 1, "every REDUCER_VERSION but the first needs a step in STATE_LIFTS");

export function liftState(state: unknown, from: number, lifts: readonly StateLift[] = STATE_LIFTS): unknown {
  assert(from >= 1 && from <= lifts.length + 1, `a state of fold version ${from} is of a newer Portreeve`);
  return lifts.slice(from - 1).reduce((lifted, lift) => lift(lifted), state);
}
