import { isIpv6 } from "../../lib/ipv6.ts";
import { pinholeOf } from "../upnp-pinholes.ts";
import { deviceAt } from "../device.ts";
import { deviceIpv6 } from "../ipv6-host.ts";
import { servedInterface } from "../served.ts";
import type { State } from "../state.ts";

interface Caller {
  readonly interface: string;
  readonly device: string;
}

/** What a control point is told of the firewall before its host's IPv6 addresses, and of its pinholes. */
export const upnpFirewall = {
  /** `enabled`: whoever is outside begins no flow to the host; `pinholes`: it may have an address that some are let in to. */
  statusOf(state: State, { interface: name, device }: Caller): { enabled: boolean; pinholes: boolean } {
    const served = servedInterface(state, name);
    if (served === undefined) return { enabled: false, pinholes: false };
    if (served.tunnel) {
      const known = deviceAt(state, null, device);
      return { enabled: true, pinholes: known !== undefined && deviceIpv6(state, known) !== null };
    }
    const pinholes = (state.interfaces[name]?.addresses ?? []).some(isIpv6);
    return { enabled: state.settings.wan.interfaces.length > 0, pinholes };
  },

  /** What a pinhole of the host's leads to; null: there is none of that number. */
  pinholeAddress: (state: State, { interface: name, device }: Caller, uniqueId: number): string | null =>
    pinholeOf(state, { interface: name, caller: device }, uniqueId)?.mapping.internalAddress ?? null,
};
