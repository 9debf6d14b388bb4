import { createHaproxyTarget, type RouteHits } from "../adapters/haproxy/target.ts";
import type { Links } from "../adapters/kernel/links.ts";
import { createRouteTarget } from "../adapters/kernel/route-target.ts";
import { createSysctlTarget } from "../adapters/kernel/sysctl-target.ts";
import { createForwardsTarget } from "../adapters/nftables/forwards-target.ts";
import { GuardNeighbours } from "../adapters/nftables/guard-neighbours.ts";
import { GUARD_TABLE } from "../adapters/nftables/guard-skeleton.ts";
import { createGuardTarget } from "../adapters/nftables/guard-target.ts";
import { type ForeignInstance, openNftables } from "../adapters/nftables/nftables.ts";
import { createSecretTarget } from "../adapters/secrets/secret-target.ts";
import type { PeerActivityLog } from "../adapters/wireguard/peer-activity.ts";
import { createWireguardTarget } from "../adapters/wireguard/target.ts";
import type { DesiredSource } from "../api/deps.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Settler } from "../controller/settled-submission.ts";
import type { SecretStore } from "../events/secrets.ts";
import type { Clock } from "../lib/clock.ts";
import type { DnsRow } from "../lib/dns-row.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { ProxyCondition } from "../lib/proxy-condition.ts";
import type { FilterChain } from "../lib/packet-filter.ts";
import type { Rehearsing, Target } from "../reconcilers/contract.ts";
import type { EngineDeps, RunningReconciler } from "../reconcilers/engine/engine.ts";
import { dns } from "../reconcilers/dns.ts";
import { routes } from "../reconcilers/routes.ts";
import { sysctls } from "../reconcilers/sysctls.ts";
import { wireguard } from "../reconcilers/wireguard.ts";
import type { DesiredTable } from "../reducers/select/desired.ts";
import { forwardKeysOf } from "../reducers/select/forward-keys.ts";
import { selectForwards } from "../reducers/select/forward-rows.ts";
import { guardKeysOf, selectGuard } from "../reducers/select/guard-rows.ts";
import { routeKey } from "../reducers/select/route-rows.ts";
import { selectSecrets } from "../reducers/select/secret-rows.ts";
import { selectWireguard } from "../reducers/select/wireguard-rows.ts";
import { selectSni, sniKeysOf } from "../reducers/select/sni-rows.ts";
import { tunnelInterface } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";
import { createGatewayReconcilers, sysctlNames } from "./gateway-reconcilers.ts";

export interface DataPlaneOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: EngineDeps<State>["log"];
  /** Marks everything of ours in the kernel. */
  readonly instanceId: string;
  readonly secrets: SecretStore;
  readonly activity: PeerActivityLog;
  readonly dns: Target<DnsRow, DnsRow>;
  /** Where HAProxy's folder is. */
  readonly runtimeDir: string;
}

/** The reconcilers of the gateway role over the real kernel. */
export interface DataPlane extends Settler {
  readonly reconcilers: readonly RunningReconciler[];
  readonly desired: readonly DesiredSource[];
  findForeignInstance(): Promise<ForeignInstance | null>;
  /** What others filter. */
  foreignChains(): Promise<readonly FilterChain[]>;
  takeOver(instanceId: string): Promise<void>;
  /** First passes, the guard's before the others'. Failures are in the reconcilers' health. */
  start(): Promise<void>;
  /** Whether HAProxy is there, so that names can share a port. */
  sharesPorts(): boolean;
  proxyCondition(): ProxyCondition;
  /** Connections by row key of `sni-routes`. */
  routeHits(): Promise<ReadonlyMap<string, RouteHits>>;
  /** Told of every reading of the kernel's interfaces. */
  interfacesSeen(links: Links): void;
  /** Whether the guard is in the kernel, so that sockets may open. */
  guarded(): boolean;
  close(): Promise<void>;
}

/** Opens the way to the kernel and changes nothing in it before `start`. */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { controller, clock, metrics, log, instanceId } = options;
  const tunnel = tunnelTargets(options);
  const nftables = await openNftables({ instanceId });
  const neighbours = new GuardNeighbours({
    transact: (commands) => nftables.transact(commands),
    served: () => controller.state.settings.lan.map((lan) => lan.interface),
  });
  const forget = (): void => neighbours.forget();
  nftables.watch.onChange(GUARD_TABLE, forget);
  let started = false;
  const sysctlTarget = createSysctlTarget(sysctlNames(controller));
  const haproxy = createHaproxyTarget({ instanceId, runtimeDir: options.runtimeDir });
  const reconcilers = createGatewayReconcilers(
    controller,
    instanceId,
    {
      guard: createGuardTarget(nftables, forget),
      forwards: createForwardsTarget(nftables),
      sysctls: sysctlTarget,
      dns: options.dns,
      sni: haproxy,
      tunnel,
    },
    { clock, random: Math.random, log, metrics, initialized: () => started },
  );
  const { guard, forwards } = reconcilers;
  return {
    reconcilers: reconcilers.all,
    desired: [
      rehearsed(forwards, () => selectForwards(instanceId), forwardKeysOf),
      rehearsed(guard, () => selectGuard(instanceId), guardKeysOf),
      { reconciler: "sni-routes", select: selectSni(instanceId), keysOf: sniKeysOf },
      ...[sysctls(), wireguard(), routes(), dns()].map(({ name, select }): DesiredSource => {
        return { reconciler: name, select, keysOf: () => [] };
      }),
    ],
    findForeignInstance: () => nftables.findForeignInstance(),
    foreignChains: () => nftables.foreignChains(),
    async takeOver(from) {
      await nftables.takeOver(from);
      await tunnel.wireguard.takeOver(from);
      await haproxy.takeOver(from);
    },
    async start() {
      started = true;
      // Clients ask once whether names share ports here, and remember the answer.
      await Promise.all([reconcilers.start(), haproxy.known()]);
      await neighbours.start();
    },
    interfacesSeen(links) {
      sysctlTarget.interfacesSeen(links);
      tunnel.wireguard.interfacesSeen(links.links);
    },
    sharesPorts: () => haproxy.available(),
    proxyCondition: () => haproxy.condition(),
    routeHits: () => haproxy.hits(),
    guarded: () => guard.status("guard")?.kind === "done",
    settled: (seq, signal) => reconcilers.settled(seq, signal),
    effect: (mappingId) => reconcilers.effect(mappingId),
    async close() {
      neighbours.close();
      await reconcilers.close();
      await nftables.close();
    },
  };
}

/** Rows whose target can be asked beforehand; by a selector of each question's own, as a running one remembers its state. */
function rehearsed<Spec>(
  reconciler: RunningReconciler & Rehearsing<State, Spec>,
  selector: () => (state: State) => DesiredTable<Spec>,
  keysOf: DesiredSource["keysOf"],
): DesiredSource {
  const rehearse = (state: State) => reconciler.rehearse(state, selector()(state));
  return { reconciler: reconciler.name, select: selector(), keysOf, rehearse };
}

/** The targets of the WireGuard subnets. Selectors of their own: one remembers only its last state. */
function tunnelTargets({ controller, instanceId, secrets, activity }: DataPlaneOptions) {
  const [peers, sealed] = [selectWireguard(), selectSecrets()];
  return {
    wireguard: createWireguardTarget({
      instanceId,
      secrets,
      wanted: (key) => peers(controller.state).get(key)?.spec,
      onDump: (dump) => activity.record(dump),
      endpointOf: (publicKey) => activity.activity(publicKey)?.endpoint ?? null,
    }),
    routes: createRouteTarget({ tunnel: () => tunnelInterface(controller.state), keyOf: routeKey }),
    secrets: createSecretTarget(secrets, (id) => sealed(controller.state).get(id) !== undefined),
  };
}
