import type { Settings } from "../events/settings.ts";
import { nameText } from "../lib/domain-name.ts";
import { parseIpv4 } from "../lib/ip.ts";
import type { Config } from "./schema.ts";

/** The part of the configuration that decisions depend on, as the log records it. */
export function settingsFrom(config: Config, wanInterfaces: readonly string[]): Settings {
  const { pcp, natpmp, upnp, lifetime, quarantine, protectedPorts, perDevice } = config.portControl;
  const { externalAddress, httpRedirect } = config.wan;
  return {
    wan: { interfaces: [...wanInterfaces], externalAddress, ...(httpRedirect !== "auto" && { httpRedirect }) },
    lan: config.lan.map(({ interface: name, nonce, devices, dns, dnsUpdates, zone }) => {
      return { interface: name, nonce, devices, dns, dnsUpdates, zone: zone === null ? null : nameText(zone) };
    }),
    wireguard: wireguardOf(config),
    portControl: { pcp, natpmp, upnp, lifetime, quarantine, protectedPorts, perDevice },
    dns: dnsOf(config),
  };
}

/** Nobody may take the names by which the admin API is known. */
function dnsOf({ dns, api }: Config): Settings["dns"] {
  const { listenPort, upstreams, perDevice } = dns;
  const hosts = api.hosts.map((host) => host.replace(/:\d+$/, "")).filter((name) => !isIpAddress(name));
  const protectedNames = namesIn([...dns.protectedNames, ...hosts]);
  return { listenPort, upstreams, privateZones: namesIn(dns.privateZones), protectedNames, perDevice };
}

/** In lower case, without their last dot, each once. */
const namesIn = (texts: readonly string[]): string[] => [...new Set(texts.flatMap((text) => nameText(text) ?? []))];

const isIpAddress = (text: string): boolean => parseIpv4(text) !== null || text.includes(":");

function wireguardOf({ wireguard }: Config): Settings["wireguard"] {
  if (wireguard === null) return null;
  return { interface: wireguard.interface, listenPort: wireguard.listenPort, nonce: wireguard.nonce };
}
