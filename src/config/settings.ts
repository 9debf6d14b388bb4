import type { Settings } from "../events/settings.ts";
import type { Config } from "./schema.ts";

/** The part of the configuration that decisions depend on, as the log records it. */
export function settingsFrom(config: Config, wanInterfaces: readonly string[]): Settings {
  const { pcp, natpmp, lifetime, quarantine, protectedPorts, perDevice } = config.portControl;
  return {
    wan: { interfaces: [...wanInterfaces], externalAddress: config.wan.externalAddress },
    lan: config.lan.map((lan) => ({ interface: lan.interface, nonce: lan.nonce, devices: lan.devices })),
    wireguard: wireguardOf(config),
    portControl: { pcp, natpmp, lifetime, quarantine, protectedPorts, perDevice },
  };
}

function wireguardOf({ wireguard }: Config): Settings["wireguard"] {
  if (wireguard === null) return null;
  return { interface: wireguard.interface, listenPort: wireguard.listenPort, nonce: wireguard.nonce };
}
