import type { ControllerMode } from "../../controller/port.ts";
import { tableRows } from "../../lib/table.ts";
import { externalAddress } from "../../reducers/external-address.ts";
import type { Seq } from "../../events/envelope.ts";
import type { State } from "../../reducers/state.ts";
import type { Reconciler } from "../../reconcilers/contract.ts";
import type { Info, Readiness } from "../deps.ts";
import { confirmationsView } from "./confirmation.ts";
import { isoTime } from "../../lib/iso-time.ts";
import type { StatusDocument } from "../schemas/status.ts";

export interface StatusContext {
  readonly state: State;
  readonly mode: ControllerMode;
  readonly reconcilers: readonly Pick<Reconciler, "name" | "health">[];
  readonly readiness: Readiness;
  readonly info: Info;
  /** The last record that has left the log. */
  readonly base: Seq;
  readonly now: number;
}

/** The whole program on one page. Pure. */
export function statusView({ state, mode, reconcilers, readiness, info, base, now }: StatusContext): StatusDocument {
  const { settings, interfaces } = state;
  return {
    version: info.version,
    instanceId: info.instanceId,
    mode,
    ready: readiness.ready,
    reasons: [...readiness.reasons],
    fault: info.log.fault,
    log: { base, verification: info.log.verification },
    warnings: [...info.warnings],
    startedAt: isoTime(info.startedAt),
    uptime: Math.max(0, Math.floor((now - info.startedAt) / 1000)),
    seq: state.seq,
    wans: settings.wan.interfaces.map((name) => {
      const { up = false, gateway = null } = interfaces[name] ?? {};
      return { interface: name, up, externalAddress: externalAddress(state, name), gateway };
    }),
    lans: settings.lan.map(({ interface: name, nonce }) => {
      const { up = false, addresses = [] } = interfaces[name] ?? {};
      return { interface: name, up, addresses: [...addresses], nonce };
    }),
    tunnel: tunnelView(state),
    ports: {
      total: state.mappings.size,
      devices: [...tableRows(state.usages)].filter((device) => device.mappingIds.length > 0).length,
      failing: reconcilers.reduce((sum, { health }) => sum + health.errorsCurrent, 0),
    },
    sockets: [...info.sockets],
    reconcilers: reconcilers.map(({ name, health }) => ({ name, level: health.level, message: health.message })),
    confirmations: confirmationsView(state),
  };
}

function tunnelView({ settings, interfaces, subnets, tunnelled }: State): StatusDocument["tunnel"] {
  if (settings.wireguard === null) return null;
  const { interface: name, listenPort } = settings.wireguard;
  const up = interfaces[name]?.up ?? false;
  return { interface: name, up, listenPort, subnets: Object.keys(subnets).length, devices: tunnelled };
}
