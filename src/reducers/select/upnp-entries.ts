import { remoteHostOf } from "../../events/claim-key.ts";
import { tableGet } from "../../lib/table.ts";
import type { Deadlines } from "../deadlines.ts";
import { operatorHolds } from "../operator-holds.ts";
import type { Claim } from "../../events/mapping.ts";
import { siteOf } from "../served.ts";
import { isPinhole, type Mapping, type State } from "../state.ts";
import { heldBy } from "../usage.ts";

/** Port mappings as a control point sees them (WANIPConnection:2 §2.5.14), on consecutive ports from those named here. */
export interface UpnpEntry {
  readonly count: number;
  /** Address of the one peer that is let in; empty: everyone. */
  readonly remoteHost: string;
  readonly externalPort: number;
  readonly protocol: "TCP" | "UDP";
  readonly internalPort: number;
  readonly internalClient: string;
  readonly enabled: boolean;
  readonly description: string;
  /** What is left; 0: it has no end. */
  readonly leaseSeconds: number;
}

const WITHOUT_WORDS: Readonly<Record<Claim["source"], string>> = {
  pcp: "PCP",
  natpmp: "NAT-PMP",
  upnp: "UPnP",
  manual: "operator",
};

/** What a device may see: the ports that lead to it, whoever asked for them, oldest first. */
export function upnpEntries(
  state: State,
  deadlines: Pick<Deadlines, "deadlineOf">,
  { interface: iface, device }: { interface: string; device: string },
  now: number,
): UpnpEntry[] {
  const site = siteOf(state, iface);
  const own = heldBy(state, site, device);
  const given = (["tcp", "udp"] as const).flatMap((protocol) => operatorHolds(state, device, protocol));
  const mappings = new Set([...own, ...given.flatMap((id) => tableGet(state.mappings, id) ?? [])]);
  const isThere = ({ interface: name }: Mapping): boolean => name !== null && siteOf(state, name) === site;
  return [...mappings]
    .filter((mapping) => mapping.name === null && isThere(mapping) && !isPinhole(mapping))
    .sort((a, b) => a.createdSeq - b.createdSeq)
    .flatMap((mapping) => entriesOf(mapping, (claim) => leftOf(mapping, claim, deadlines, now)));
}

/** What other protocols asked for has no remote host, and is one entry with what UPnP asked for without one. */
function entriesOf(mapping: Mapping, left: (claim: Claim) => number): UpnpEntry[] {
  const byHost = new Map<string, Claim[]>();
  for (const claim of mapping.claims) {
    const remoteHost = remoteHostOf(claim) ?? "";
    byHost.set(remoteHost, [...(byHost.get(remoteHost) ?? []), claim]);
  }
  const { protocol, internalAddress, count } = mapping;
  return [...byHost].map(([remoteHost, claims]) => {
    const seconds = claims.map(left);
    return {
      count,
      remoteHost,
      externalPort: mapping.externalPort,
      protocol: protocol === "tcp" ? ("TCP" as const) : ("UDP" as const),
      internalPort: mapping.internalPort,
      internalClient: internalAddress,
      enabled: mapping.enabled && claims.some((claim) => claim.enabled),
      description: describe(mapping, claims),
      leaseSeconds: seconds.includes(0) ? 0 : Math.max(...seconds),
    };
  });
}

function describe({ label }: Mapping, claims: readonly Claim[]): string {
  const said = claims.find(({ description }) => description !== null)?.description;
  return said ?? label ?? WITHOUT_WORDS[claims[0]?.source ?? "upnp"];
}

/** Never 0 while there is an end: that would say there is none. */
function leftOf(mapping: Mapping, claim: Claim, deadlines: Pick<Deadlines, "deadlineOf">, now: number): number {
  const end = deadlines.deadlineOf(mapping.id, claim.key) ?? claim.expiresAt;
  return end === null ? 0 : Math.max(1, Math.ceil((end - now) / 1000));
}
