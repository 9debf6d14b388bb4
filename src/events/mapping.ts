import { z } from "zod";
import {
  cidr,
  claimSource,
  givenLabel,
  hostAddress,
  instant,
  interfaceName,
  ipv4,
  ipv6,
  label,
  lifetime,
  managedBy,
  nonce,
  port,
  serverName,
  transport,
  wanName,
} from "./fields.ts";

export const FILTERS_MAX = 16;

/** Remote peers that a client wants to be reached by (RFC 6887 §13.3): those of a network, from one port or any (null). */
export const peerFilter = z.strictObject({ prefix: cidr, port: port.nullable() });
export type PeerFilter = z.infer<typeof peerFilter>;
const filters = z.array(peerFilter).max(FILTERS_MAX);

/** An external port, and an address or any of the gateway's (null), that a client has rather no mapping than not have. */
const insistedOn = z.strictObject({ address: hostAddress.nullable(), port });

/** One claim on a mapping: who asked, by which protocol, until when. `key` names it within its mapping (`claim-key.ts`). */
export const claim = z.strictObject({
  key: z.string().min(1).max(64),
  source: claimSource,
  /** Address of the device that asked; null for an operator. */
  device: hostAddress.nullable(),
  nonce: nonce.nullable(),
  /** UDP port the request came from: Mapping Updates go there (RFC 6887 §14.2). */
  clientPort: port.nullable(),
  /** Seconds granted; null for an operator's claim without end. */
  lifetime: lifetime.nullable(),
  expiresAt: instant.nullable(),
  managedBy,
  /** By whom it wants to be reached; empty: by everyone. A mapping lets in whom any of its claims wants. */
  filters,
  /** What the client calls it. */
  description: givenLabel.nullable(),
  /** False: it is kept and its lease runs, and nothing is forwarded for its sake (UPnP NewEnabled). */
  enabled: z.boolean(),
  /** What it was made to insist on, if on anything: a Mapping Update to another place is an error (RFC 6887 §13.2, §14.2). */
  insistsOn: insistedOn.optional(),
});
export type Claim = z.infer<typeof claim>;

export const SOURCES_MAX = 32;

/**
 * What a host inside sees as the source of who comes in by a forward: their own address, or the gateway's, for a host
 * that answers nobody else. Null: chosen by the profile of the device.
 */
export const sourceAddress = z.enum(["keep", "gateway"]);
/** Only from these networks a forward is reached; sorted, none within another. Empty: from everywhere. */
const sources = z.array(z.cidrv4()).max(SOURCES_MAX);
/** As they are asked for: single hosts too, in any order, some within others. */
export const askedSources = z.array(z.union([z.cidrv4(), ipv4])).max(SOURCES_MAX);

export const mappingGranted = z.strictObject({
  /** Stable id, derived from the request: "m" and 12 hex digits. */
  id: z.string().regex(/^m[0-9a-f]{12}$/),
  /**
   * The WAN: an interface, whose external address is derived and never stored, or one of its addresses. Of a pinhole
   * its own internal IPv6 address: that is where the world finds it, by whatever WAN.
   */
  wan: z.union([wanName, ipv6]),
  protocol: transport,
  externalPort: port,
  /** Address and first port that packets are sent on to. */
  internalAddress: hostAddress,
  internalPort: port,
  /** Address that its host is known and counted by; null: the internal one. "::": of all whose IPv4 address is unknown. */
  host: hostAddress.nullable(),
  /** Number of consecutive ports, from 1. */
  count: z.number().int().min(1).max(65535),
  /** The served interface the internal address is on; null when an operator named an address elsewhere. */
  interface: interfaceName.nullable(),
  label: label.nullable(),
  enabled: z.boolean(),
  sourceAddress: sourceAddress.nullable(),
  from: sources,
  /** One TLS server name of a port that is shared; null: all of the port, or what no name is for. */
  name: serverName.nullable(),
  claim,
});

/** An undo brings back a mapping, or claims of one, as it was; it keeps its age and the order of its claims. */
export const mappingRestored = mappingGranted.omit({ claim: true }).extend({
  claims: z.array(claim).min(1),
  createdAt: instant,
  createdSeq: z.number().int().positive(),
});

/** An operator's edit; only the fields that changed. */
export const mappingChanged = z.strictObject({
  id: z.string(),
  wan: wanName.optional(),
  externalPort: port.optional(),
  internalAddress: ipv4.optional(),
  internalPort: port.optional(),
  count: z.number().int().min(1).max(65535).optional(),
  interface: interfaceName.nullable().optional(),
  label: label.nullable().optional(),
  enabled: z.boolean().optional(),
  sourceAddress: sourceAddress.nullable().optional(),
  from: sources.optional(),
});
export type MappingChanged = z.infer<typeof mappingChanged>;
