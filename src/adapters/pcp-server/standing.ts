import type { ControllerMode } from "../../controller/port.ts";
import type { State } from "../../reducers/state.ts";
import type { Standing } from "./exchange.ts";

/** What clients of a WAN are told is its address; null while it has none. */
export type ExternalAddressOf = (state: State, wan: string) => string | null;

export interface Moment {
  readonly state: State;
  readonly mode: ControllerMode;
  readonly now: number;
  /** When this server began: stands in for an epoch that no event has set, as in safe mode at the log's first record. */
  readonly serverStartedAt: number;
  readonly externalAddressOf: ExternalAddressOf;
}

/** What clients of a served interface are told of epoch and address, now. */
export function standingOf(moment: Moment, served: string, sniAvailable: boolean): Standing {
  const { state, mode } = moment;
  const { pcp, natpmp } = state.settings.portControl;
  return {
    ready: mode === "running",
    pcp,
    natpmp,
    externalAddress: toldAddress(state, moment.externalAddressOf),
    epoch: epochOf(moment, served),
    sniAvailable,
  };
}

/** RFC 6887 §8.5, RFC 6886 §3.6: seconds, one counter for both protocols. */
export function epochOf({ state, now, serverStartedAt }: Moment, served: string): number {
  const startedAt = state.epochs[served]?.startedAt ?? serverStartedAt;
  return Math.max(0, Math.floor((now - startedAt) / 1000));
}

/** The address of the preferred WAN, which new mappings are made on: settings name it first. */
export function toldAddress(state: State, externalAddressOf: ExternalAddressOf): string | null {
  const [wan] = state.settings.wan.interfaces;
  return wan === undefined ? null : externalAddressOf(state, wan);
}
