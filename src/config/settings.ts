import type { Settings } from "../events/settings.ts";
import type { Config } from "./schema.ts";

/** The part of the configuration that decisions depend on, as the log records it. */
export function settingsFrom(config: Config, wanInterfaces: readonly string[]): Settings {
  const { pcp, natpmp, lifetime, quarantine, protectedPorts, perDevice } = config.portControl;
  return {
    wan: { interfaces: [...wanInterfaces], externalAddress: config.wan.externalAddress },
    lan: config.lan.map((lan) => ({ interface: lan.interface, nonce: lan.nonce })),
    portControl: { pcp, natpmp, lifetime, quarantine, protectedPorts, perDevice },
  };
}
