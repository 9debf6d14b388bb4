import { assert } from "../lib/assert.ts";

/** Lifts the data of one event type from version `from` to the next. Pure; one step each. */
export interface Upcaster {
  readonly type: string;
  readonly from: number;
  readonly up: (data: unknown) => unknown;
}

/** What settings said of the DNS before there was any: no LAN has a resolver of ours. */
export const withoutDns = ({ lan }: { readonly lan: readonly object[] }) => ({
  lan: lan.map((each) => ({ ...each, dns: false, dnsUpdates: "signed", zone: null })),
  dns: {
    listenPort: 53,
    upstreams: "system",
    privateZones: ["home.arpa", "internal", "lan"],
    protectedNames: [],
    perDevice: { records: 1024 },
  },
});

/** What a claim said before clients could say more than a port and a time. */
export const plainClaim = (claim: object) => ({ ...claim, filters: [], description: null, enabled: true });

/** What settings said of UPnP before there was any: its default. */
export const withUpnp = ({ portControl }: { readonly portControl: object }) => ({
  portControl: { ...portControl, upnp: true },
});

/** Every step that a released log may need. */
export const UPCASTERS: readonly Upcaster[] = [
  // Who came in by a mapping was seen with their own address, from wherever.
  { type: "mapping.granted", from: 1, up: (data) => ({ ...(data as object), sourceAddress: null, from: [] }) },
  // A port was nobody's or somebody's whole, and reached by everyone.
  {
    type: "mapping.granted",
    from: 2,
    up: (data) => {
      const granted = data as { claim: object };
      return { ...granted, name: null, claim: plainClaim(granted.claim) };
    },
  },
  {
    type: "mapping.restored",
    from: 1,
    up: (data) => {
      const restored = data as { claims: object[] };
      return { ...restored, name: null, claims: restored.claims.map(plainClaim) };
    },
  },
  // All hosts were IPv4 hosts, known by the address that a mapping leads to.
  { type: "mapping.granted", from: 3, up: (data) => ({ ...(data as object), host: null }) },
  { type: "mapping.restored", from: 2, up: (data) => ({ ...(data as object), host: null }) },
  { type: "lease.granted", from: 3, up: (data) => data },
  { type: "block.set", from: 1, up: (data) => data },
  { type: "block.lifted", from: 1, up: (data) => data },
  // A mapping could not yet move to another WAN; what it could change reads the same.
  { type: "mapping.changed", from: 1, up: (data) => data },
  // Claims did not say by which declaration; those of that time are by none.
  { type: "lease.granted", from: 1, up: (data) => data },
  {
    type: "lease.granted",
    from: 2,
    up: (data) => {
      const granted = data as { claim: object };
      return { ...granted, claim: plainClaim(granted.claim) };
    },
  },
  // Nothing but the end of a claim could change; that reads the same.
  { type: "lease.changed", from: 1, up: (data) => data },
  // There were no links that show a configuration; what was shown reads the same.
  { type: "secret.shown", from: 1, up: (data) => data },
  // No secret signed DNS updates; what was shown reads the same.
  { type: "secret.shown", from: 2, up: (data) => data },
  // Nobody was served DNS: no zones, and no keys for it.
  { type: "device.added", from: 1, up: (data) => ({ ...(data as object), dnsKeySecret: null, zones: [] }) },
  { type: "device.changed", from: 1, up: (data) => data },
  // Nobody could ask for ports in the place of others.
  { type: "device.added", from: 2, up: (data) => ({ ...(data as object), mapsFor: [] }) },
  { type: "device.changed", from: 2, up: (data) => data },
  { type: "subnet.added", from: 1, up: (data) => ({ ...(data as object), zone: null }) },
  { type: "subnet.changed", from: 1, up: (data) => data },
  // All traffic left by the machine's default route, whichever WAN that was of.
  { type: "interface.observed", from: 1, up: (data) => ({ ...(data as object), gateway: null }) },
  // Before there were registered devices and WireGuard, every address of a LAN could map to itself.
  {
    type: "settings.changed",
    from: 1,
    up: (data) => {
      const { settings } = data as { settings: { lan: object[] } };
      return {
        settings: { ...settings, lan: settings.lan.map((lan) => ({ ...lan, devices: "any" })), wireguard: null },
      };
    },
  },
  {
    type: "settings.changed",
    from: 2,
    up: (data) => {
      const { settings } = data as { settings: { lan: object[] } };
      return { settings: { ...settings, ...withoutDns(settings) } };
    },
  },
  {
    type: "settings.changed",
    from: 3,
    up: (data) => {
      const { settings } = data as { settings: { portControl: object } };
      return { settings: { ...settings, ...withUpnp(settings) } };
    },
  },
];

/** Gives data of `type` as its current version has it. `v` must be between 1 and the current one. */
export type Upcast = (type: string, v: number, data: unknown) => unknown;

/**
 * Refuses a registry in which a stored event could get stuck: each type needs exactly one step from every version
 * below its current one. Called when the program loads, so a missing step never waits for an old log to be found.
 */
export function upcastChain(
  types: Readonly<Record<string, { readonly v: number }>>,
  upcasters: readonly Upcaster[],
): Upcast {
  const steps = new Map<string, Map<number, Upcaster["up"]>>();
  for (const { type, from, up } of upcasters) {
    const current = Object.hasOwn(types, type) ? types[type]?.v : undefined;
    assert(current !== undefined, `upcaster for "${type}", which is no event type`);
    assert(Number.isInteger(from) && from >= 1 && from < current, `upcaster for "${type}" from ${from} leads nowhere`);
    const ofType = steps.get(type) ?? new Map<number, Upcaster["up"]>();
    assert(!ofType.has(from), `two upcasters for "${type}" from ${from}`);
    steps.set(type, ofType.set(from, up));
  }
  for (const [type, { v }] of Object.entries(types)) {
    for (let from = 1; from < v; from += 1) {
      assert(steps.get(type)?.has(from), `no upcaster for "${type}" from ${from}`);
    }
  }
  return (type, v, data) => {
    const ofType = steps.get(type);
    const current = types[type]?.v ?? 0;
    let lifted = data;
    for (let from = v; from < current; from += 1) {
      const up = ofType?.get(from);
      assert(up !== undefined, `"${type}" has no version ${from}`);
      lifted = up(lifted);
    }
    return lifted;
  };
}
