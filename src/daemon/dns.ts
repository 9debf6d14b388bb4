import type { Logger } from "pino";
import type { Links } from "../adapters/kernel/links.ts";
import { createDnsServer, type DnsServer } from "../adapters/dns-server/server.ts";
import type { Config } from "../config/schema.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { EventLog } from "../events/log.ts";
import type { SecretStore } from "../events/secrets.ts";
import type { Clock } from "../lib/clock.ts";
import { PortreeveError } from "../lib/errors.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { RequestLog } from "../lib/request-log.ts";
import type { State } from "../reducers/state.ts";
import type { Readiness } from "./readiness.ts";
import { dnsListeners } from "./served-addresses.ts";

export interface DnsParts {
  readonly controller: Pick<ControllerPort, "state" | "submit" | "preview">;
  readonly clock: Clock;
  readonly eventLog: Pick<EventLog, "read" | "answerOf">;
  readonly secrets: SecretStore;
  readonly requests: RequestLog;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly config: Config;
  readonly onLost: () => void;
}

export async function openDns(parts: DnsParts): Promise<DnsServer> {
  const { controller, clock, eventLog, secrets, requests, metrics, log, config, onLost } = parts;
  const server = createDnsServer({
    controller,
    clock,
    secrets,
    requests,
    metrics,
    log,
    onLost,
    upstreams: config.dns.upstreams,
    rebindingAllow: config.dns.rebinding.allow,
    answerOf: (requestId) => eventLog.answerOf(requestId),
    changedBefore: await lastChangeOfNames(eventLog, controller.state, clock),
    startedAt: Date.now(),
  });
  if (config.dns.queryLog) server.logQueries(true);
  return server;
}

/** In the time of the wall clock, which signatures go by; never later than now. */
async function lastChangeOfNames(log: Pick<EventLog, "read">, state: State, clock: Clock): Promise<number | null> {
  const { dnsRevision, at } = state;
  if (dnsRevision === 0) return null;
  const changedAt = (await timeOf(log, dnsRevision)) ?? at;
  return Math.min(Date.now(), changedAt + Date.now() - clock.now());
}

async function timeOf(log: Pick<EventLog, "read">, seq: number): Promise<number | null> {
  try {
    for await (const record of log.read(seq - 1, { to: seq })) return record.at;
  } catch (cause) {
    // It has left the log, and nobody put it into the archive: then the end of the log will do.
    if (!(cause instanceof PortreeveError)) throw cause;
  }
  return null;
}

/** Makes the sockets those that the state wants; whether it has to be tried again. */
export async function serveDns(dns: DnsServer, state: State, links: Links, readiness: Readiness): Promise<boolean> {
  const [fault] = await dns.serve(dnsListeners(state, links));
  if (fault === undefined) readiness.recovered("DNS");
  else readiness.failed("DNS", fault.message);
  return fault !== undefined;
}
