import type { Seq } from "../../events/envelope.ts";
import type { Transport } from "../../events/fields.ts";

/**
 * Rows of the desired tables: the language between the pure core and the targets. A row is one thing of the target
 * (one map element, one sysctl), so that drift in any of them is seen and mended alone.
 */

/**
 * Table `portreeve`. Keys: "skeleton"; `forward|address|protocol|port`; `range|address|protocol|first-last`;
 * `outbound|address|protocol|port`; `ours|protocol|port`; `egress|address`; `restricted|address|protocol|first-last`;
 * `allowed|address|protocol|first-last|prefix`;
 * `allowedPort|address|protocol|first-last|prefix|port`; `visited|address|protocol|port`; `hostVia|address`;
 * `portVia|address|protocol|port`; `severed|address|protocol|port`; `pinhole|address|protocol|port`;
 * `pinholeFrom|address|protocol|port|prefix`; `pinholeFromPort|address|protocol|port|prefix|port`.
 */
export type ForwardRow =
  /** Chains, rules, sets and maps, without elements. */
  | {
      readonly kind: "skeleton";
      readonly instanceId: string;
      readonly wans: readonly string[];
      readonly lans: readonly string[];
      /** Our WireGuard interface, which is one of `lans`, while there is one. */
      readonly tunnel?: string;
      /** Where there are several ways out: the number of each of `wans`. */
      readonly vias?: readonly number[];
      /** By which of them what has no WAN of its own leaves, while one leads out. */
      readonly usualVia?: number;
      /** While HAProxy speaks to targets from its clients' addresses: what they answer is for HAProxy. */
      readonly proxied?: true;
    }
  /** DNAT of one external port. `address` is what packets carry: the WAN interface's own address. */
  | {
      readonly kind: "forward";
      readonly address: string;
      readonly protocol: Transport;
      readonly port: number;
      readonly toAddress: string;
      readonly toPort: number;
    }
  /** DNAT of consecutive ports that keep their numbers. */
  | {
      readonly kind: "range";
      readonly address: string;
      readonly protocol: Transport;
      readonly firstPort: number;
      readonly lastPort: number;
      readonly toAddress: string;
    }
  /** SNAT: what leaves a mapped internal port by the WAN has its external address and port. */
  | {
      readonly kind: "outbound";
      readonly address: string;
      readonly protocol: Transport;
      readonly port: number;
      readonly toAddress: string;
      readonly toPort: number;
    }
  /** A source port that masquerading must not give to others: mapped, or a listener of the gateway (port shadowing). */
  | { readonly kind: "ours"; readonly protocol: Transport; readonly port: number }
  /** External ports that only some networks reach. */
  | {
      readonly kind: "restricted";
      readonly address: string;
      readonly protocol: Transport;
      readonly firstPort: number;
      readonly lastPort: number;
    }
  /** One network that reaches restricted ports. */
  | {
      readonly kind: "allowed";
      readonly address: string;
      readonly protocol: Transport;
      readonly firstPort: number;
      readonly lastPort: number;
      /** "203.0.113.0/24" */
      readonly from: string;
    }
  /** One network that reaches restricted ports from one port of its hosts'. */
  | {
      readonly kind: "allowedPort";
      readonly address: string;
      readonly protocol: Transport;
      readonly firstPort: number;
      readonly lastPort: number;
      readonly from: string;
      readonly fromPort: number;
    }
  /** A port of an IPv6 host that everybody is let in to. */
  | { readonly kind: "pinhole"; readonly address: string; readonly protocol: Transport; readonly port: number }
  /** One that a network is let in to, "2001:db8:7::/48"; there may be several. */
  | {
      readonly kind: "pinholeFrom";
      readonly address: string;
      readonly protocol: Transport;
      readonly port: number;
      readonly from: string;
    }
  /** From one port of its hosts'. */
  | {
      readonly kind: "pinholeFromPort";
      readonly address: string;
      readonly protocol: Transport;
      readonly port: number;
      readonly from: string;
      readonly fromPort: number;
    }
  /** An internal side whose visitors come to it from the gateway's address. */
  | { readonly kind: "visited"; readonly address: string; readonly protocol: Transport; readonly port: number }
  /** SNAT of all that a device with a WAN of its own sends out, but for its mapped ports. */
  | { readonly kind: "egress"; readonly address: string; readonly toAddress: string }
  /** New flows of a device with a WAN of its own, or with the address of a WAN, leave by that WAN. */
  | { readonly kind: "hostVia"; readonly address: string; readonly via: number }
  /** A mapped port whose new flows leave by another WAN than the rest of its host's. */
  | {
      readonly kind: "portVia";
      readonly address: string;
      readonly protocol: Transport;
      readonly port: number;
      readonly via: number;
    }
  /** Live flows that came in by this external side end, but those that reach the target it has now. */
  | {
      readonly kind: "severed";
      readonly address: string;
      readonly protocol: Transport;
      /** First of `count` consecutive ports. 0 with count 0: every NATed flow of that address (it is no longer ours). */
      readonly port: number;
      readonly count: number;
      /** The decision that ended them: a later one ends what has come in since. */
      readonly decidedAt: Seq;
    };

/** Tables `portreeve_guard` and `portreeve_anchor`. Keys: "guard"; "anchor"; `holder|address`. */
export type GuardRow =
  | {
      readonly kind: "guard";
      readonly instanceId: string;
      readonly wans: readonly string[];
      readonly lans: readonly string[];
      /** portControl.perDevice.requestsPerSecond: the kernel's limits are multiples of it. */
      readonly requestsPerSecond: number;
    }
  | { readonly kind: "anchor"; readonly instanceId: string }
  /** A device that holds a mapping: a share of the global request limit is kept for these. */
  | { readonly kind: "holder"; readonly address: string };

/** One kernel parameter. Key: its dotted name. */
export interface SysctlRow {
  readonly name: string;
  readonly value: string;
  /** With this value it is left alone. */
  readonly unless?: string;
  /** Why it is needed, for `status` when it cannot be set. */
  readonly reason: string;
}

/** Our WireGuard interface. Keys: "link"; `peer|public key`. */
export type WireguardRow =
  | {
      readonly kind: "link";
      readonly interface: string;
      readonly listenPort: number;
      readonly publicKey: string;
      readonly privateKeySecret: string;
    }
  | {
      readonly kind: "peer";
      readonly publicKey: string;
      readonly presharedKeySecret: string | null;
      /** Sorted. */
      readonly allowedIps: readonly string[];
    };

/** Addresses and routes of ours. Keys: the fields after the kind, with `|` between, as in `address|wg0|10.59.7.1/24`. */
export type RouteRow =
  | { readonly kind: "address"; readonly interface: string; readonly address: string }
  | {
      readonly kind: "route";
      /** 254 is the main table. */
      readonly table: number;
      readonly prefix: string;
      readonly interface: string;
      readonly gateway: string | null;
    }
  /** Where no other route of the table leads: packets are refused, and go no other way. */
  | { readonly kind: "unreachable"; readonly table: number; readonly prefix: string }
  | {
      readonly kind: "rule";
      readonly priority: number;
      readonly mark: number;
      readonly mask: number;
      readonly table: number;
    }
  /** Of packets that come in by an interface; what looks a mark up without having one sees none of it. */
  | {
      readonly kind: "arrival";
      readonly priority: number;
      readonly interface: string;
      readonly mark: number;
      readonly mask: number;
      readonly table: number;
    }
  /** What is looked up in this table is for the machine itself. */
  | { readonly kind: "local"; readonly table: number; readonly prefix: string }
  /** Of the machine's own packets with this source address. */
  | {
      readonly kind: "source";
      readonly priority: number;
      readonly from: string;
      readonly table: number;
      /** Routes of the table that are more than a default one. */
      readonly specific: boolean;
    }
  /** An IPv6 address that the gateway answers for on another interface (NDP proxy). */
  | { readonly kind: "neighbour"; readonly interface: string; readonly address: string };

/** A sealed secret that something of the state names. Key: its id. */
export interface SecretRow {
  readonly secretId: string;
}
