import type { Logger } from "pino";
import { readLinkCounters } from "../adapters/kernel/link-counters.ts";
import { readFlowTimeout } from "../adapters/kernel/flow-timeouts.ts";
import type { Links } from "../adapters/kernel/links.ts";
import { createUpnpServer, type UpnpServer, type UpnpServerOptions } from "../adapters/upnp-server/server.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Clock } from "../lib/clock.ts";
import type { RequestLog } from "../lib/request-log.ts";
import { clientAddresses } from "../reducers/select/client-address.ts";
import { upnpEntries } from "../reducers/select/upnp-entries.ts";
import { upnpFirewall } from "../reducers/select/upnp-firewall.ts";
import { servedInterfaces } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";
import type { Readiness } from "./readiness.ts";
import { upnpListeners } from "./served-addresses.ts";

export interface UpnpParts {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly requestLog: RequestLog;
  readonly log: Logger;
  readonly instanceId: string;
  readonly version: string;
  readonly ipv4Of: UpnpServerOptions["ipv4Of"];
}

export function openUpnp(parts: UpnpParts): UpnpServer {
  return createUpnpServer({
    ...parts,
    core: {
      addressOf: (state, { interface: served, device }) => clientAddresses.ofClient(state, served, device),
      wanOf: (state, { interface: served, device }) => clientAddresses.wanOf(state, served, device),
      entriesOf: upnpEntries,
      firewall: upnpFirewall,
      hearsMulticast: clientAddresses.hearsMulticast,
    },
    readWan: readLinkCounters,
    readFlowTimeout,
    random: Math.random,
  });
}

/** Makes the sockets those that the state wants; whether it has to be tried again. */
export async function serveUpnp(upnp: UpnpServer, state: State, links: Links, readiness: Readiness): Promise<boolean> {
  const [fault] = await upnp.serve(upnpListeners(state.settings.portControl, servedInterfaces(state), links));
  if (fault === undefined) readiness.recovered("UPnP");
  else readiness.failed("UPnP", fault.error.message);
  return fault !== undefined;
}
