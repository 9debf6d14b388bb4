import { importTargets } from "./targets/import.mjs";
import { dnsTargets } from "./targets/dns.mjs";
import { configTargets } from "./targets/config.mjs";
import { dnsForwarderTargets } from "./targets/dns-forwarder.mjs";
import { eventLogTargets } from "./targets/event-log.mjs";
import { firewallTargets } from "./targets/firewalls.mjs";
import { kernelTargets } from "./targets/kernel.mjs";
import { portControlTargets } from "./targets/port-control.mjs";
import { upnpTargets } from "./targets/upnp.mjs";
import { wireguardTargets } from "./targets/wireguard.mjs";

/** Every reader of foreign bytes. @param {import("./targets/loading.mjs").Load} load */
export async function allTargets(load) {
  const groups = [
    portControlTargets,
    kernelTargets,
    firewallTargets,
    configTargets,
    dnsForwarderTargets,
    eventLogTargets,
    wireguardTargets,
    importTargets,
    dnsTargets,
    upnpTargets,
  ];
  return (await Promise.all(groups.map((group) => group(load)))).flat();
}
