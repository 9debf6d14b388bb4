import type { ControllerMode } from "../../controller/port.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import type { State } from "../../reducers/state.ts";
import type { Standing } from "./exchange.ts";

/** What the core says of the clients of a served interface. */
export interface Clients {
  /** What clients of a WAN are told is its address; null while it has none. */
  ofWan(state: State, wan: string): string | null;
  /** What this client is told; `client` null: what everybody is told who is not registered with another WAN. */
  ofClient(state: State, served: string, client: string | null): string | null;
  /** Whether an operator lets it ask in the place of other hosts. */
  asksForOthers(state: State, served: string, client: string): boolean;
  /** False on a tunnel: each client is told alone. */
  hearsMulticast(state: State, served: string): boolean;
  /** Those that what is multicast does not reach, or tells another address than their own. */
  toldAlone(state: State, served: string): readonly string[];
  /** Clients that are told another address than before; `interface` null: on a tunnel. */
  moved(before: State, after: State): readonly { readonly interface: string | null; readonly address: string }[];
}

export interface Moment {
  readonly state: State;
  readonly mode: ControllerMode;
  readonly now: number;
  /** When this server began: stands in for an epoch that no event has set, as in safe mode at the log's first record. */
  readonly serverStartedAt: number;
  readonly clients: Clients;
}

/** What a client of a served interface is told of epoch and address, now; null: one like any other. */
export function standingOf(moment: Moment, served: string, client: string | null, sniAvailable: boolean): Standing {
  const { state, mode } = moment;
  const { pcp, natpmp } = state.settings.portControl;
  // Of IPv6 each host has all ports: none is shared by name.
  const ipv6 = client !== null && isIpv6(client);
  return {
    ready: mode === "running",
    pcp,
    natpmp,
    externalAddress: moment.clients.ofClient(state, served, client),
    epoch: epochOf(moment, served),
    sniAvailable: sniAvailable && !ipv6,
    asksForOthers: client !== null && moment.clients.asksForOthers(state, served, client),
  };
}

/** RFC 6887 §8.5, RFC 6886 §3.6: seconds, one counter for both protocols. */
export function epochOf({ state, now, serverStartedAt }: Moment, served: string): number {
  const startedAt = state.epochs[served]?.startedAt ?? serverStartedAt;
  return Math.max(0, Math.floor((now - startedAt) / 1000));
}
