import type { Claim } from "./mapping.ts";

// What names a claim within its mapping. Keys are in every log: what one says may never change.

/** An operator has one claim on a mapping. */
export const OPERATOR_CLAIM = "manual";
/** NAT-PMP knows no nonce: a host's requests for one port are one claim. */
export const NATPMP_CLAIM = "natpmp";
const UPNP = "upnp:";
const PINHOLE = `${UPNP}pinhole:`;

/** RFC 6887 §11.1: a client is known by its nonce. */
export const pcpClaim = (nonce: string | null): string => `pcp:${nonce}`;

export const mapClaim = ({ by, nonce }: { readonly by: "pcp" | "natpmp"; readonly nonce: string | null }): string =>
  by === "pcp" ? pcpClaim(nonce) : NATPMP_CLAIM;

/** An entry is one by its remote host, external port and protocol (WANIPConnection:2 §2.5.16). Null: everyone. */
export const upnpClaim = (remoteHost: string | null): string => `${UPNP}${remoteHost ?? ""}`;

/** WANIPv6FirewallControl:1 §2.2.6: a pinhole is known to its host by a number. */
export const pinholeClaim = (uniqueId: number): string => `${PINHOLE}${uniqueId}`;

/** Null: it is no pinhole that was asked for by UPnP. */
export const uniqueIdOf = ({ key }: Pick<Claim, "key">): number | null =>
  key.startsWith(PINHOLE) ? Number(key.slice(PINHOLE.length)) : null;

/** Of an entry of UPnP; empty: everyone. Null: it is none. */
export const remoteHostOf = ({ key }: Pick<Claim, "key">): string | null =>
  key.startsWith(UPNP) && !key.startsWith(PINHOLE) ? key.slice(UPNP.length) : null;
