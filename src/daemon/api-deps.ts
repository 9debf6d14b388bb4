import type { ApiDeps, LogCondition } from "../api/deps.ts";
import type { DnsServer } from "../adapters/dns-server/server.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Controller } from "../controller/controller.ts";
import { History } from "../controller/history.ts";
import type { SnapshotKeeper } from "../controller/snapshot-keeper.ts";
import type { EventLog } from "../events/log.ts";
import type { SecretStore } from "../events/secrets.ts";
import type { SnapshotStore } from "../events/snapshot.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { PeerActivitySource } from "../lib/peer-activity.ts";
import type { RequestLog } from "../lib/request-log.ts";
import type { DataPlane } from "./data-plane.ts";
import { type DoctorParts, examine } from "./doctor.ts";
import { createNames } from "./names.ts";
import type { Readiness } from "./readiness.ts";
import { createTunnel } from "./tunnel.ts";

export interface ApiParts {
  readonly controller: Controller;
  readonly clock: Clock;
  readonly eventLog: EventLog;
  readonly secrets: SecretStore;
  readonly activity: PeerActivitySource;
  readonly keeper: SnapshotKeeper;
  readonly snapshots: SnapshotStore;
  readonly dataPlane: DataPlane | null;
  readonly dns: DnsServer | null;
  readonly requestLog: RequestLog;
  readonly metrics: Metrics;
  readonly log: ApiDeps["log"];
  readonly readiness: Readiness;
  readonly version: string;
  readonly loaded: LoadedConfig;
  /** The interfaces there are now, and where port control is served. */
  readonly serving: DoctorParts["serving"];
  /** What is bound and what is wrong change with time: asked for each time. */
  readonly sockets: () => readonly string[];
  readonly condition: () => LogCondition;
}

/** What the API is given of the running program. */
export function apiDeps(parts: ApiParts): ApiDeps {
  const { controller, clock, eventLog, dataPlane, readiness } = parts;
  const { config, notes } = parts.loaded;
  return {
    controller,
    clock,
    wallClock: Date.now,
    secrets: parts.secrets,
    tunnel: createTunnel({
      state: () => controller.state,
      secrets: parts.secrets,
      activity: parts.activity,
      endpoint: config.wireguard?.endpoint ?? "auto",
    }),
    names: createNames({ state: () => controller.state, secrets: parts.secrets, server: parts.dns }),
    reconcilers: dataPlane?.reconcilers ?? [],
    desired: dataPlane?.desired ?? [],
    history: new History(eventLog, parts.snapshots),
    snapshots: parts.keeper,
    answers: { get: (requestId) => eventLog.answerOf(requestId) },
    requestLog: parts.requestLog,
    metrics: parts.metrics,
    log: parts.log,
    readiness: () => readiness.check(),
    sharesPorts: () => dataPlane?.sharesPorts() ?? false,
    routeHits: async () => (await dataPlane?.routeHits().catch(() => undefined)) ?? new Map(),
    doctor: () =>
      examine({
        controller,
        clock,
        config,
        reconcilers: dataPlane?.reconcilers ?? [],
        condition: parts.condition,
        serving: parts.serving,
        proxyCondition: dataPlane === null ? null : () => dataPlane.proxyCondition(),
        foreignChains: dataPlane === null ? null : () => dataPlane.foreignChains(),
      }),
    info: {
      version: parts.version,
      instanceId: eventLog.instanceId,
      startedAt: clock.now(),
      get sockets() {
        return parts.sockets();
      },
      get log() {
        return parts.condition();
      },
      get warnings() {
        return [...notes, ...readiness.degraded()];
      },
    },
  };
}
