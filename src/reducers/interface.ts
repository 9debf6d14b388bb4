import type { PortreeveRecord } from "../events/index.ts";
import { without } from "./fork.ts";
import { severFlows } from "./mapping.ts";
import { servedInterfaces } from "./served.ts";
import { wanAddress } from "./external-address.ts";
import type { State, WanAddress } from "./state.ts";

export function onInterfaceObserved(draft: State, record: PortreeveRecord<"interface.observed">): void {
  const { name, up, addresses, gateway } = record.event.data;
  const observed = { name, up, addresses: [...addresses], gateway, revision: record.seq };
  draft.interfaces = { ...draft.interfaces, [name]: observed };
  followTopology(draft, record);
}

export function onInterfaceLost(draft: State, record: PortreeveRecord<"interface.lost">): void {
  draft.interfaces = without(draft.interfaces, record.event.data.name);
  followTopology(draft, record);
}

export function onSettingsChanged(draft: State, record: PortreeveRecord<"settings.changed">): void {
  draft.settings = record.event.data.settings;
  draft.settingsRevision = record.seq;
  draft.dnsRevision = record.seq;
  followTopology(draft, record);
  followEpochs(draft, record.at);
}

/** Call when WireGuard begins or ends to be served. */
export function followServed(draft: State, record: PortreeveRecord): void {
  draft.servedRevision = record.seq;
  draft.topologyRevision = record.seq;
  followEpochs(draft, record.at);
}

function followEpochs(draft: State, at: number): void {
  const first = { startedAt: at, reason: "first served" };
  const names = servedInterfaces(draft).map((served) => served.interface);
  draft.epochs = Object.fromEntries(names.map((name) => [name, draft.epochs[name] ?? first]));
}

export function onListenersObserved(draft: State, record: PortreeveRecord<"listeners.observed">): void {
  draft.listeners = record.event.data.listeners.map((listener) => ({ ...listener }));
  draft.listenersRevision = record.seq;
}

export function onEpochReset(draft: State, record: PortreeveRecord<"epoch.reset">): void {
  resetEpochs(draft, record.at, record.event.data.reason);
}

export function onEpochAdvanced(draft: State, record: PortreeveRecord<"epoch.advanced">): void {
  const { byMs } = record.event.data;
  draft.epochs = Object.fromEntries(
    Object.entries(draft.epochs).map(([name, { startedAt, reason }]) => [
      name,
      { startedAt: startedAt - byMs, reason },
    ]),
  );
}

/**
 * A WAN whose address is another than the last it had: flows NATed to the old one end, and clients' epochs restart
 * (RFC 6887 §8.5). An address that goes and comes back unchanged resets nothing.
 */
function followTopology(draft: State, record: PortreeveRecord): void {
  draft.topologyRevision = record.seq;
  for (const wan of draft.settings.wan.interfaces) {
    const address = wanAddress(draft, wan);
    if (address === null) continue;
    const last = draft.wanAddresses[wan];
    draft.wanAddresses = { ...draft.wanAddresses, [wan]: address };
    if (last === undefined) continue;
    for (const lost of lostAddresses(last, address)) {
      severFlows(draft, { address: lost, protocol: "tcp", port: 0, count: 0 }, record);
    }
    if (last.reported !== address.reported)
      resetEpochs(draft, record.at, `external address changed to ${address.reported}`);
  }
}

/** What packets carried, and what hosts inside used if nothing has it any more. */
function lostAddresses(last: WanAddress, now: WanAddress): Set<string> {
  const lost = new Set(last.matched === now.matched ? [] : [last.matched]);
  if (last.reported !== now.matched && last.reported !== now.reported) lost.add(last.reported);
  return lost;
}

function resetEpochs(draft: State, at: number, reason: string): void {
  draft.epochs = Object.fromEntries(Object.keys(draft.epochs).map((name) => [name, { startedAt: at, reason }]));
}
