import type { Logger } from "pino";
import { LeaseClock } from "../adapters/clock/lease-clock.ts";
import { readBootId, SystemClock, uptimeMs } from "../adapters/clock/system-clock.ts";
import { LinkObserver } from "../adapters/kernel/link-observer.ts";
import type { Links } from "../adapters/kernel/links.ts";
import { ListenerObserver } from "../adapters/kernel/listeners.ts";
import type { DnsServer } from "../adapters/dns-server/server.ts";
import { neighbourLookup } from "../adapters/kernel/neighbours.ts";
import { createPcpServer, type PcpServer } from "../adapters/pcp-server/server.ts";
import type { UpnpServer } from "../adapters/upnp-server/server.ts";
import { PeerActivityLog } from "../adapters/wireguard/peer-activity.ts";
import type { LogProblem } from "../api/deps.ts";
import { type OpenApi, openApi } from "../api/listener.ts";
import { parseListen } from "../config/schema.ts";
import type { LoadedConfig } from "../config/load.ts";
import { settingsFrom } from "../config/settings.ts";
import { Controller } from "../controller/controller.ts";
import { sayFirstLink, sayReady, saySafeMode, socketTexts } from "./announcement.ts";
import { apiDeps } from "./api-deps.ts";
import { type DataPlane, openDataPlane } from "./data-plane.ts";
import { openDns, serveDns } from "./dns.ts";
import { createEntropy } from "./entropy.ts";
import type { EventLog } from "../events/log.ts";
import { loadMasterKey } from "../events/master-key.ts";
import { hasSecrets, openSecrets, type SecretStore } from "../events/secrets.ts";
import { SnapshotKeeper } from "../controller/snapshot-keeper.ts";
import { prepareWireguard } from "./first-wireguard.ts";
import { LogCare } from "./log-care.ts";
import { logProblem, unwritableLog } from "./unwritable-log.ts";
import { PortreeveError } from "../lib/errors.ts";
import { APPEND_BUCKETS, createMetrics, type Metrics } from "../lib/metrics.ts";
import { RequestLog } from "../lib/request-log.ts";
import { portControlListeners, reportedAddresses, wanAddresses, wanInterfaces } from "./served-addresses.ts";
import { ProcessWatch } from "./process-watch.ts";
import { Readiness } from "./readiness.ts";
import { clientAddresses } from "../reducers/select/client-address.ts";
import { nextDeviceEnd } from "../reducers/device.ts";
import { servedInterfaces } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";
import { type OpenStore, openStore, type Store } from "./store.ts";
import { watchConfirmations } from "./trials.ts";
import { openUpnp, serveUpnp } from "./upnp.ts";

/** An interface or socket that was not there is tried again this often. */
const SERVE_RETRY_MS = 1000;

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  readonly version: string;
  /** Take over what another instance left in this network namespace. */
  readonly takeOver: boolean;
}

/** The parts, in the order in which they may trust each other. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #announce: Logger;
  readonly #metrics: Metrics = createMetrics();
  readonly #requestLog = new RequestLog();
  readonly #closers: (() => Promise<void> | void)[] = [];
  #controller: Controller | null = null;
  #eventLog: EventLog | null = null;
  #activity: PeerActivityLog | null = null;
  /** From the start on. */
  #secrets: SecretStore | null = null;
  #dataPlane: DataPlane | null = null;
  #pcp: PcpServer | null = null;
  #dns: DnsServer | null = null;
  #upnp: UpnpServer | null = null;
  #api: OpenApi | null = null;
  #keeper: SnapshotKeeper | null = null;
  #readiness: Readiness | null = null;
  readonly #sharesPorts = (): boolean => this.#dataPlane?.sharesPorts() ?? false;
  #links: Links = { links: [], defaultRoutes: [] };
  #serveTimer: NodeJS.Timeout | null = null;
  #stopping = false;
  #lastFault: string | null = null;
  #fault: LogProblem | null = null;
  #care: LogCare | null = null;
  safe = false;

  constructor(options: DaemonOptions, log: Logger, announce: Logger) {
    this.#options = options;
    this.#log = log;
    this.#announce = announce;
  }

  async start(): Promise<void> {
    const { config } = this.#options.loaded;
    const store = await openStore(config.dataDir, (fields, message) => this.#log.warn(fields, message));
    if (store.ok) this.#eventLog = store.log;
    const masterKey = await loadMasterKey(config.masterKeyFile, await hasSecrets(config.dataDir));
    this.#secrets = openSecrets(config.dataDir, masterKey);
    const { run, at } = store.state;
    const anchor = at === 0 ? null : { at: run.startedAt, uptimeMs: run.uptimeMs, bootId: run.bootId, lastAt: at };
    const clock = new SystemClock(anchor);
    this.#activity = new PeerActivityLog(clock, Date.now);
    const eventLog = store.ok ? store.log : unwritableLog(store.fault);
    const controller = this.#makeController(store, eventLog, clock);
    this.#controller = controller;
    if (store.ok)
      await this.#openDataPlane(controller, store.log, clock, await this.#openDns(controller, store.log, clock));
    const readiness = new Readiness(clock, this.#dataPlane?.reconcilers ?? []);
    this.#readiness = readiness;
    this.#watchProcess(readiness);
    this.#makePortControl(controller, store, clock);
    if (store.ok) await this.#recordStart(controller, store, clock);
    else this.#enterSafeMode(controller, store.fault);
    await this.#observeKernel(controller);
    if (store.ok) {
      // Before the first passes: what nobody confirmed in time is not put into the kernel once more.
      this.#closers.push(await watchConfirmations(controller, store, clock, this.#log));
      await prepareWireguard(controller, this.#secrets);
      await this.#firstPasses(controller);
      controller.enter("running");
      readiness.bar(null);
    }
    await this.#servePorts();
    await this.#openApi(store, eventLog, controller, clock, readiness);
    if (this.#fault !== null) saySafeMode(this.#announce, this.#fault);
    if (!store.ok) return;
    sayReady(this.#announce, this.#api, {
      socket: this.#socketPath,
      sockets: this.#sockets(),
      degraded: readiness.degraded(),
    });
    await sayFirstLink(this.#announce, this.#log, this.#api);
    await this.#care?.start();
  }

  /** In the reverse order: nobody new is promised anything, then the log is closed as it stands. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#serveTimer !== null) clearTimeout(this.#serveTimer);
    await this.#api?.close();
    await this.#pcp?.close();
    await this.#upnp?.close();
    await this.#dns?.close();
    for (const close of this.#closers.reverse()) await close();
    await this.#care?.close();
    const controller = this.#controller;
    if (controller !== null && controller.mode === "running") {
      await controller.submit({ type: "controller.stop", source: "controller", requestId: `stop-${process.pid}` });
      await controller.idle();
      controller.enter("stopped");
      await this.#keeper?.create().catch((cause: unknown) => this.#log.warn({ err: cause }, "no snapshot at the stop"));
    }
    await this.#dataPlane?.close();
    await this.#eventLog?.close();
  }

  #makeController(store: Store, eventLog: EventLog, clock: SystemClock): Controller {
    const appended = this.#metrics.histogram(
      "portreeve_append_seconds",
      "From decision to durable",
      [],
      APPEND_BUCKETS,
    );
    const head = this.#metrics.gauge("portreeve_log_head_seq", "Sequence number of the newest event", []);
    const leases = this.#metrics.gauge("portreeve_leases", "Claims that have an end", []);
    head.set({}, store.state.seq);
    const controller: Controller = new Controller({
      log: eventLog,
      clock,
      entropy: createEntropy(),
      sharesPorts: this.#sharesPorts,
      state: store.state,
      onCommit: ({ seconds }) => {
        appended.observe({}, seconds);
        head.set({}, controller.state.seq);
        leases.set({}, controller.leases.size);
        this.#lastFault = null;
        this.#readiness?.recovered("event log");
      },
      onFault: ({ message, cause, command }) => {
        // A disk that stays full fails the same way again and again: said once.
        const said = `${message}: ${cause instanceof Error ? cause.message : String(cause)}`;
        if (said !== this.#lastFault) this.#log.error({ err: cause, command }, message);
        this.#lastFault = said;
        if (!(cause instanceof PortreeveError)) return;
        this.#readiness?.failed("event log", cause.message);
        if (controller.mode === "safe") this.#enterSafeMode(controller, cause);
      },
    });
    return controller;
  }

  async #openDns(controller: Controller, eventLog: EventLog, clock: SystemClock): Promise<DnsServer> {
    this.#dns = await openDns({
      controller,
      clock,
      eventLog,
      secrets: this.#secrets as SecretStore,
      requests: this.#requestLog,
      metrics: this.#metrics,
      log: this.#log,
      config: this.#options.loaded.config,
      onLost: () => void this.#servePorts(),
    });
    return this.#dns;
  }

  async #openDataPlane(controller: Controller, eventLog: EventLog, clock: SystemClock, dns: DnsServer): Promise<void> {
    const dataPlane = await openDataPlane({
      controller,
      clock,
      metrics: this.#metrics,
      log: this.#log,
      instanceId: eventLog.instanceId,
      secrets: this.#secrets as SecretStore,
      activity: this.#activity as PeerActivityLog,
      dns: dns.target,
      runtimeDir: this.#options.loaded.config.runtimeDir,
    });
    this.#dataPlane = dataPlane;
    const foreign = await dataPlane.findForeignInstance();
    if (foreign === null) return;
    if (!this.#options.takeOver) {
      const state = foreign.live ? "runs" : "has left its tables";
      const next = foreign.live
        ? "Stop it first, or start with --take-over"
        : "Start with --take-over to make them yours";
      const message = `another Portreeve instance (${foreign.instanceId}) ${state} in this network namespace. ${next}`;
      throw new PortreeveError("FOREIGN_INSTANCE", message, "fatal");
    }
    const from = foreign.instanceId;
    await controller.submit({ type: "instance.take-over", from, source: "controller", requestId: `take-over-${from}` });
    await dataPlane.takeOver(from);
  }

  #watchProcess(readiness: Readiness): void {
    const onStall = (seconds: number): void => this.#log.warn({ seconds }, "the process stood still");
    const onFilesExhausted = (whose: string): void => this.#log.warn({ whose }, "no more files can be opened");
    const watch = new ProcessWatch({ readiness, metrics: this.#metrics, onStall, onFilesExhausted });
    watch.start();
    this.#closers.push(() => watch.close());
  }

  #makePortControl(controller: Controller, store: Store, clock: SystemClock): void {
    const parts = { controller, clock, log: this.#log, requestLog: this.#requestLog, ipv4Of: neighbourLookup(clock) };
    this.#pcp = createPcpServer({ ...parts, clients: clientAddresses, sniAvailable: this.#sharesPorts });
    if (!store.ok) return;
    this.#upnp = openUpnp({ ...parts, instanceId: store.log.instanceId, version: this.#options.version });
  }

  async #recordStart(controller: Controller, store: OpenStore, clock: SystemClock): Promise<void> {
    const start = {
      version: this.#options.version,
      instanceId: store.log.instanceId,
      bootId: readBootId(),
      uptimeMs: uptimeMs(),
      epochsRestarted: store.epochsRestarted,
    };
    const requestId = `start-${process.pid}-${start.uptimeMs}`;
    const outcome = await controller.submit({ type: "controller.start", ...start, source: "controller", requestId });
    if (!outcome.ok) throw new PortreeveError(outcome.refusal.code, outcome.refusal.message, "fatal");
    const devices = { next: () => nextDeviceEnd(controller.state) };
    const leaseClock = new LeaseClock(controller, { leases: controller.leases, devices }, clock);
    leaseClock.start();
    this.#closers.push(() => leaseClock.close());
  }

  async #observeKernel(controller: Controller): Promise<void> {
    const { config } = this.#options.loaded;
    const observer = new LinkObserver({
      controller,
      settingsFor: (links) => settingsFrom(config, wanInterfaces(config.wan.interfaces, links, controller.state)),
      servedWith: (settings) => servedInterfaces({ ...controller.state, settings }).map((served) => served.interface),
      onLinks: (links) => {
        this.#links = links;
        this.#dataPlane?.interfacesSeen(links);
        if (controller.mode !== "starting") void this.#servePorts();
      },
      onError: (cause) => this.#log.warn({ err: cause }, "the kernel's interfaces could not be read"),
    });
    await observer.start();
    this.#closers.push(() => observer.close());
    const listeners = new ListenerObserver(controller, () => wanAddresses(controller.state));
    await listeners.start();
    this.#closers.push(() => listeners.close());
  }

  async #firstPasses(controller: Controller): Promise<void> {
    await this.#dataPlane?.start();
    const settle = this.#metrics.histogram("portreeve_settle_seconds", "From durable to effective", [], APPEND_BUCKETS);
    const dataPlane = this.#dataPlane;
    if (dataPlane === null) return;
    controller.settleWith({
      settled: async (seq, signal) => {
        const started = performance.now();
        await dataPlane.settled(seq, signal);
        settle.observe({}, (performance.now() - started) / 1000);
      },
      effect: (mappingId) => dataPlane.effect(mappingId),
    });
  }

  /** Sockets follow the interfaces; none opens before the guard is in the kernel. */
  async #servePorts(): Promise<void> {
    const [pcp, controller, readiness] = [this.#pcp, this.#controller, this.#readiness];
    if (pcp === null || controller === null || readiness === null || this.#stopping) return;
    const settings = this.safe ? settingsFrom(this.#options.loaded.config, []) : controller.state.settings;
    // In safe mode as far as the state could be read; the configured LANs in any case.
    const served = servedInterfaces({ ...controller.state, settings });
    const wanted = portControlListeners(settings.portControl, served, this.#links);
    const guarded = this.safe || served.length === 0 || this.#dataPlane?.guarded() === true;
    if (!guarded) readiness.failed("port control", "the guard is not in the kernel, so no socket opens");
    const faults = guarded ? await pcp.serve(wanted) : [];
    if (faults[0] !== undefined) readiness.failed("port control", faults[0].error.message);
    else if (guarded) readiness.recovered("port control");
    const unserved = guarded && !this.safe && (await this.#serveOthers(controller.state, readiness));
    if ((guarded && faults.length === 0 && !unserved) || this.#serveTimer !== null || this.#stopping) return;
    this.#serveTimer = setTimeout(() => {
      this.#serveTimer = null;
      void this.#servePorts();
    }, SERVE_RETRY_MS);
  }

  /**
   * What is not served in safe mode: from a state that may not be the last, a name could lead to whoever has its address
   * now, and UPnP has no way to say that nothing is promised.
   */
  async #serveOthers(state: State, readiness: Readiness): Promise<boolean> {
    const dns = this.#dns !== null && (await serveDns(this.#dns, state, this.#links, readiness));
    const upnp = this.#upnp !== null && (await serveUpnp(this.#upnp, state, this.#links, readiness));
    return dns || upnp;
  }

  async #openApi(
    store: Store,
    eventLog: EventLog,
    controller: Controller,
    clock: SystemClock,
    readiness: Readiness,
  ): Promise<void> {
    const { config } = this.#options.loaded;
    const keeper = new SnapshotKeeper(store.snapshots, eventLog, () => controller.state);
    this.#keeper = keeper;
    if (store.ok) {
      const onFault = (fault: PortreeveError): void => this.#enterSafeMode(controller, fault);
      this.#care = new LogCare({ config, controller, keeper, eventLog, clock, log: this.#log, onFault });
    }
    const deps = apiDeps({
      controller,
      clock,
      eventLog,
      secrets: this.#secrets as SecretStore,
      activity: this.#activity as PeerActivityLog,
      keeper,
      snapshots: store.snapshots,
      dataPlane: this.#dataPlane,
      dns: this.#dns,
      requestLog: this.#requestLog,
      metrics: this.#metrics,
      log: this.#log,
      readiness,
      version: this.#options.version,
      loaded: this.#options.loaded,
      serving: () => ({
        links: this.#links,
        ...this.#served(),
        dnsThreads: this.#dns?.losses ?? { count: 0, reason: null },
      }),
      sockets: () => this.#sockets(),
      condition: () => ({ fault: this.#fault, verification: this.#care?.verification ?? null }),
    });
    const listen = config.api.listen === null ? null : parseListen(config.api.listen);
    const { tls, hosts } = config.api;
    const external = () => reportedAddresses(controller.state);
    const tokenFile = `${config.dataDir}/api-token`;
    this.#api = await openApi(deps, { socketPath: this.#socketPath, listen, tokenFile, tls, hosts, external });
  }

  get #socketPath(): string {
    return `${this.#options.loaded.config.runtimeDir}/portreeve.sock`;
  }

  #served() {
    return { portControl: this.#pcp?.served ?? [], upnp: this.#upnp?.served ?? [], dns: this.#dns?.served ?? [] };
  }

  #sockets(): string[] {
    const tcp = this.#api?.address ?? null;
    return socketTexts({ ...this.#served(), api: [this.#socketPath, ...(tcp === null ? [] : [tcp])] });
  }

  #enterSafeMode(controller: Controller, fault: PortreeveError): void {
    if (this.safe) return;
    this.safe = true;
    controller.enter("safe");
    const problem = logProblem(fault, controller.state.seq, this.#options.loaded.config.dataDir);
    this.#fault = problem;
    this.#readiness?.bar(`safe mode: ${problem.message}. Next: ${problem.next}`);
    // At a start whoever reads the line finds someone to ask about it.
    if (this.#api !== null) saySafeMode(this.#announce, problem);
  }
}
