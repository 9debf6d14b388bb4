import type { Properties } from "../../protocols/upnp/gena.ts";
import type { State } from "../../reducers/state.ts";
import type { ServiceName } from "./documents.ts";
import type { Caller, Gateway } from "./exchange.ts";
import type { Identity } from "./identity.ts";
import { firewallOf } from "./ipv6-firewall.ts";
import { defaultConnectionService, linkStatus, wanOf } from "./other-services.ts";
import { connectionStatus, entriesOf, externalAddress } from "./wan-ip-connection.ts";

const callerKey = (caller: Caller): string => `${caller.interface} ${caller.device}`;

/**
 * The evented variables as one host sees them. SystemUpdateID goes up by one with each change of its port mappings that
 * it was told of (WANIPConnection:2 §2.3.23), from the number of the log on, which goes up faster, so that it never falls.
 */
export class EventedValues {
  readonly #gateway: Gateway;
  readonly #identity: Identity;
  readonly #updates = new Map<string, { mappings: string; id: number }>();

  constructor(gateway: Gateway, identity: Identity) {
    this.#gateway = gateway;
    this.#identity = identity;
  }

  async of(service: ServiceName, caller: Caller): Promise<Properties> {
    const gateway = this.#gateway;
    switch (service) {
      case "WANIPConnection":
        return {
          PossibleConnectionTypes: "IP_Routed",
          ConnectionStatus: connectionStatus(gateway, caller),
          ExternalIPAddress: externalAddress(gateway, caller),
          ...this.#mappings(caller),
        };
      case "WANCommonInterfaceConfig":
        return { PhysicalLinkStatus: linkStatus(await wanOf(gateway, caller)) };
      case "WANIPv6FirewallControl": {
        const { enabled, pinholes } = firewallOf(gateway, caller);
        return { FirewallEnabled: enabled ? "1" : "0", InboundPinholeAllowed: pinholes ? "1" : "0" };
      }
      case "Layer3Forwarding":
        return { DefaultConnectionService: defaultConnectionService(this.#identity) };
    }
  }

  /** Forgets hosts that nobody is told about any more. */
  keep(callers: Iterable<Caller>): void {
    const kept = new Set([...callers].map(callerKey));
    for (const key of this.#updates.keys()) if (!kept.has(key)) this.#updates.delete(key);
  }

  #mappings(caller: Caller): Properties {
    const entries = entriesOf(this.#gateway, caller);
    const mappings = entries.identity;
    const key = callerKey(caller);
    const last = this.#updates.get(key);
    const id =
      last === undefined ? this.#gateway.controller.state.seq : last.mappings === mappings ? last.id : last.id + 1;
    this.#updates.set(key, { mappings, id });
    return { PortMappingNumberOfEntries: String(entries.length), SystemUpdateID: String(id % 2 ** 32) };
  }
}

/** Whether what anybody is told can be another. */
export const concernsEvents = (before: State, after: State): boolean =>
  before.mappings !== after.mappings ||
  before.topologyRevision !== after.topologyRevision ||
  before.subnets !== after.subnets;
