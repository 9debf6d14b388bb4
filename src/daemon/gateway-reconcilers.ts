import type { ControllerPort } from "../controller/port.ts";
import type { Settler } from "../controller/settled-submission.ts";
import type { Seq } from "../events/envelope.ts";
import type { DnsRow } from "../lib/dns-row.ts";
import type { SniRow } from "../lib/sni-row.ts";
import { tableChanges, tableGet } from "../lib/table.ts";
import type { ReconcilerDefinition, Rehearsing, Target } from "../reconcilers/contract.ts";
import { createReconciler, type EngineDeps, type RunningReconciler } from "../reconcilers/engine/engine.ts";
import { dns } from "../reconcilers/dns.ts";
import { nftablesForwards } from "../reconcilers/nftables-forwards.ts";
import { nftablesGuard } from "../reconcilers/nftables-guard.ts";
import { routes } from "../reconcilers/routes.ts";
import { sameDesired } from "../reconcilers/same-row.ts";
import { secrets } from "../reconcilers/secrets.ts";
import { type SniObservation, sniRoutes } from "../reconcilers/sni-routes.ts";
import { sysctls } from "../reconcilers/sysctls.ts";
import { type WireguardObservation, wireguard } from "../reconcilers/wireguard.ts";
import { forwardKeysOf } from "../reducers/select/forward-keys.ts";
import { needsProxy } from "../reducers/select/proxy-need.ts";
import { selectSni, sniKeysOf } from "../reducers/select/sni-rows.ts";
import type { ForwardRow, GuardRow, RouteRow, SecretRow, SysctlRow, WireguardRow } from "../reducers/select/rows.ts";
import { selectSysctls } from "../reducers/select/sysctl-rows.ts";
import type { Mapping, State } from "../reducers/state.ts";

type States = Pick<ControllerPort, "state" | "subscribe">;

export interface GatewayTargets {
  readonly guard: Target<GuardRow, GuardRow>;
  readonly forwards: Target<ForwardRow, ForwardRow>;
  readonly sysctls: Target<SysctlRow, string>;
  readonly dns: Target<DnsRow, DnsRow>;
  /** Null where there is no HAProxy and no names are led, as in the simulation. */
  readonly sni: Target<SniRow, SniObservation> | null;
  /** Null where nobody can be on a subnet of ours, as in the simulation. */
  readonly tunnel: TunnelTargets | null;
}

export interface TunnelTargets {
  readonly wireguard: Target<WireguardRow, WireguardObservation>;
  readonly routes: Target<RouteRow, RouteRow>;
  readonly secrets: Target<SecretRow, SecretRow>;
}

/** The kernel parameters to look at: those that are wanted now. */
export function sysctlNames(controller: Pick<ControllerPort, "state">): () => Iterable<string> {
  const select = selectSysctls();
  return () => [...select(controller.state).rows()].map((row) => row.key);
}

export interface GatewayReconcilers extends Settler {
  readonly guard: RunningReconciler & Rehearsing<State, GuardRow>;
  readonly forwards: RunningReconciler & Rehearsing<State, ForwardRow>;
  readonly dns: RunningReconciler;
  readonly all: readonly RunningReconciler[];
  /** First passes, the guard's before the others'. Failures are in the reconcilers' health. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Whether nothing else is wanted of the tunnel, its routes and the way back to HAProxy. */
const sameTunnel = (one: State, other: State): boolean =>
  one.settingsRevision === other.settingsRevision &&
  one.servedRevision === other.servedRevision &&
  one.topologyRevision === other.topologyRevision &&
  one.wireguard === other.wireguard &&
  one.subnets === other.subnets &&
  needsProxy(one) === needsProxy(other) &&
  tableChanges(one.devices, other.devices).length === 0;

/** Whether nothing else is wanted of HAProxy. */
export function sameRoutes(instanceId: string): (one: State, other: State) => boolean {
  const select = selectSni(instanceId);
  return (one, other) => {
    if (!needsProxy(one) && !needsProxy(other)) return true;
    const before = select(one);
    const after = select(other);
    const keys = after.changedSince(before);
    if (keys === null) return false;
    return [...keys].every((key) => sameDesired(before.get(key), after.get(key)));
  };
}

/** The last record, up to a given one, after which something was not the same. */
function lastChange(controller: States, same: (one: State, other: State) => boolean): (seq: Seq) => Seq {
  let last = controller.state;
  let changed = last.seq;
  controller.subscribe((state) => {
    if (!same(last, state)) changed = state.seq;
    last = state;
  });
  return (seq) => Math.min(seq, changed);
}

/** What has to be there for a name to lead anywhere. */
const routeKeysOf = (state: State, mapping: Mapping): string[] =>
  mapping.name === null ? [] : ["proxy", ...sniKeysOf(state, mapping).filter((key) => key.startsWith("route|"))];

/** The reconcilers of the gateway role, and what a promise waits for; over the real kernel, or one that is played. */
export function createGatewayReconcilers(
  controller: States,
  instanceId: string,
  targets: GatewayTargets,
  deps: Omit<EngineDeps<State>, "states" | "pausedUntil">,
): GatewayReconcilers {
  const depsOf = (name: string): EngineDeps<State> => ({
    ...deps,
    states: controller,
    pausedUntil: (state) => state.pauses[name] ?? null,
  });
  const running = <Spec, Obs>(rows: ReconcilerDefinition<State, Spec, Obs>, target: Target<Spec, Obs>) =>
    createReconciler(rows, target, depsOf(rows.name));
  const guard = running(nftablesGuard(instanceId), targets.guard);
  const forwards = running(nftablesForwards(instanceId), targets.forwards);
  const kernel = running(sysctls(), targets.sysctls);
  const tunnel =
    targets.tunnel === null
      ? []
      : [running(wireguard(), targets.tunnel.wireguard), running(routes(), targets.tunnel.routes)];
  const sealed = targets.tunnel === null ? [] : [running(secrets(), targets.tunnel.secrets)];
  const names = running(dns(), targets.dns);
  const led = targets.sni === null ? null : running(sniRoutes(selectSni(instanceId)), targets.sni);
  const all = [guard, forwards, kernel, ...tunnel, ...sealed, names, ...(led === null ? [] : [led])];
  const tunnelChangedBy = lastChange(controller, sameTunnel);
  const routesChangedBy = lastChange(controller, sameRoutes(instanceId));
  return {
    guard,
    forwards,
    dns: names,
    all,
    async start() {
      await guard.start();
      await Promise.all(all.slice(1).map((reconciler) => reconciler.start()));
    },
    async settled(seq, signal) {
      // Not the guard: it gives a device its share of requests, and no forward depends on that. Nor a tunnel that the
      // change is not about, nor names: where `ip` and `wg` cannot be asked for a while, ports are opened all the same.
      const waits = [forwards, kernel].map((reconciler) => reconciler.settled(seq, signal));
      const changed = tunnelChangedBy(seq);
      const routed = led === null ? [] : [led.settled(routesChangedBy(seq), signal)];
      await Promise.all([...waits, ...routed, ...tunnel.map((reconciler) => reconciler.settled(changed, signal))]);
    },
    effect(mappingId) {
      const mapping = tableGet(controller.state.mappings, mappingId);
      if (mapping === undefined) return { kind: "effective" };
      let pending = false;
      const statuses = [
        ...forwardKeysOf(controller.state, mapping).map((key) => forwards.status(key)),
        ...(led === null ? [] : routeKeysOf(controller.state, mapping).map((key) => led.status(key))),
      ];
      for (const status of statuses) {
        if (status?.error) return { kind: "refused", message: status.error.message };
        if (status !== undefined && status.kind !== "done") pending = true;
      }
      return { kind: pending ? "pending" : "effective" };
    },
    async close() {
      await Promise.all(all.map((reconciler) => reconciler.close()));
    },
  };
}
