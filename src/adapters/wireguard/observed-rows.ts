import type { WireguardObservation } from "../../reconcilers/wireguard.ts";
import type { WireguardRow } from "../../reducers/select/rows.ts";
import type { DeviceLink } from "./device.ts";
import type { WireguardDump } from "./dump.ts";
import type { SealedKeys } from "./sealed-keys.ts";

/** In place of the id of a secret: what is there is not what any secret we were told of holds. */
const NOT_OURS = "unknown";

export const LINK_KEY = "link";
const peerKey = (publicKey: string): string => `peer|${publicKey}`;

/** The row that is wanted under a key, whose secrets are tried on what is found. */
export type Wanted = (key: string) => WireguardRow | undefined;

/** The secrets that `observedRows` will try. */
export function secretsToTry(dump: WireguardDump, wanted: Wanted): Set<string> {
  const secretIds = new Set<string>();
  const link = wanted(LINK_KEY);
  if (link?.kind === "link") secretIds.add(link.privateKeySecret);
  for (const { publicKey } of dump.peers) {
    const row = wanted(peerKey(publicKey));
    if (row?.kind === "peer" && row.presharedKeySecret !== null) secretIds.add(row.presharedKeySecret);
  }
  return secretIds;
}

export function observedRows(
  link: DeviceLink,
  dump: WireguardDump,
  wanted: Wanted,
  sealed: SealedKeys,
): Map<string, WireguardObservation> {
  const nameOf = (key: string | null, secretId: string | null | undefined): string | null => {
    if (key === null) return null;
    return typeof secretId === "string" && sealed.holds(secretId, key) ? secretId : NOT_OURS;
  };
  const wantedLink = wanted(LINK_KEY);
  const wantedSecret = wantedLink?.kind === "link" ? wantedLink.privateKeySecret : null;
  const rows = new Map<string, WireguardObservation>();
  rows.set(LINK_KEY, {
    kind: "link",
    interface: link.name,
    listenPort: dump.listenPort,
    publicKey: dump.publicKey ?? "",
    privateKeySecret: nameOf(dump.privateKey, wantedSecret) ?? "",
    up: link.up,
  });
  for (const { publicKey, presharedKey, allowedIps } of dump.peers) {
    const row = wanted(peerKey(publicKey));
    const presharedKeySecret = nameOf(presharedKey, row?.kind === "peer" ? row.presharedKeySecret : null);
    rows.set(peerKey(publicKey), { kind: "peer", publicKey, presharedKeySecret, allowedIps });
  }
  return rows;
}

/** What is seen of an interface that bears our mark and cannot be used: it does not answer, or there are two of them. */
export const unusable = (names: readonly string[]): Map<string, WireguardObservation> =>
  new Map([
    [
      LINK_KEY,
      {
        kind: "link",
        interface: names.join(" "),
        listenPort: 0,
        publicKey: "",
        privateKeySecret: "",
        up: false,
      },
    ],
  ]);
