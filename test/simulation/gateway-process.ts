import { nextDeviceEnd } from "../../src/reducers/device.ts";
import { LeaseClock } from "../../src/adapters/clock/lease-clock.ts";
import { createForwardsTarget } from "../../src/adapters/nftables/forwards-target.ts";
import { createGuardTarget } from "../../src/adapters/nftables/guard-target.ts";
import { Controller } from "../../src/controller/controller.ts";
import { Confirmations } from "../../src/controller/confirmations.ts";
import { History, stateAt } from "../../src/controller/history.ts";
import { SnapshotKeeper } from "../../src/controller/snapshot-keeper.ts";
import type { SubmissionInput } from "../../src/controller/port.ts";
import {
  createGatewayReconcilers,
  type GatewayReconcilers,
  sysctlNames,
} from "../../src/daemon/gateway-reconcilers.ts";
import type { EventLog } from "../../src/events/log.ts";
import type { Settings } from "../../src/events/settings.ts";
import type { SnapshotStore } from "../../src/events/snapshot.ts";
import { createMetrics, type Metrics } from "../../src/lib/metrics.ts";
import type { RunningReconciler } from "../../src/reconcilers/engine/engine.ts";
import type { Command, Outcome } from "../../src/reducers/decide/command.ts";
import type { State } from "../../src/reducers/state.ts";
import type { Chance } from "./chance.ts";
import type { Faults } from "./faults.ts";
import { type FaultyKernel, sysctlTarget } from "./faulty-kernel.ts";
import { faultyLog } from "./faulty-log.ts";
import { Life } from "./life.ts";
import { GatewayClock, type Machine } from "./machine.ts";
import type { Request } from "./requests.ts";
import type { Sent } from "./rules.ts";
import type { ServedRoutes } from "./served-routes.ts";
import { type LastServed, ServedNames } from "./served-names.ts";
import type { Witness } from "./witness.ts";

/** What a process finds, and what outlives it. */
export interface Surroundings {
  readonly machine: Machine;
  readonly kernel: FaultyKernel;
  readonly store: EventLog;
  readonly snapshots: SnapshotStore;
  readonly faults: Faults;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly settings: Settings;
  readonly network: Network;
  readonly nextId: () => string;
  /** What a process tells us that ends it. */
  readonly onFault: (message: string) => void;
  readonly lastServed: LastServed;
  /** It outlives a process. */
  readonly haproxy: ServedRoutes;
}

/** What the kernel says of interfaces and of programs that listen. */
export interface Network {
  readonly links: Map<string, { up: boolean; addresses: string[] }>;
  listeners: { protocol: "tcp" | "udp"; port: number }[];
}

/** Figures are nobody's business here, and a registry for each process costs more than the process. */
const metrics: Metrics = createMetrics();

/** One life of the program: the real parts, put together as the daemon does. */
export class GatewayProcess {
  readonly life: Life;
  readonly ready: Promise<void>;
  running = false;
  /** It gave up by itself, as the daemon does when its start cannot be recorded. */
  exited = false;
  initialized = false;
  controller: Controller | null = null;
  readonly #around: Surroundings;
  #reconcilers: GatewayReconcilers | null = null;
  #leaseClock: LeaseClock | null = null;
  #trials: Confirmations | null = null;
  #closeSockets = (): void => {};
  names: ServedNames | null = null;
  clock: GatewayClock | null = null;

  /** `gateMs`: so long after its first passes begin a source of desired rows has not been seen. */
  constructor(around: Surroundings, gateMs: number) {
    this.#around = around;
    this.life = new Life(() => {
      this.running = false;
      this.#closeSockets();
    });
    this.ready = this.#start(gateMs);
  }

  async #start(gateMs: number): Promise<void> {
    const { store, snapshots, machine, witness, chance, faults, settings } = this.#around;
    const state = await stateAt(store, snapshots, store.head.seq);
    const { run, at } = state;
    const anchor = at === 0 ? null : { at: run.startedAt, uptimeMs: run.uptimeMs, bootId: run.bootId, lastAt: at };
    const clock = new GatewayClock(machine, anchor, () => this.life.alive);
    this.clock = clock;
    witness.restarted(clock.now());
    const log = faultyLog(store, { life: this.life, clock, faults, chance });
    const controller = this.#makeController(log, clock, state);
    this.controller = controller;
    this.#openDataPlane(controller, clock, store.instanceId);
    const { bootId, uptimeMs } = machine;
    const start = { version: "0.1.0", instanceId: store.instanceId, bootId, uptimeMs, epochsRestarted: false };
    const started = await this.submit({ type: "controller.start", ...start }, "controller");
    if (!started.ok) {
      this.exited = true;
      this.life.kill();
      return;
    }
    this.#leaseClock = new LeaseClock(
      controller,
      { leases: controller.leases, devices: { next: () => nextDeviceEnd(controller.state) } },
      clock,
    );
    this.#leaseClock.start();
    await this.observeNetwork();
    if (settings.wireguard !== null) await this.#watchTrials(controller, clock);
    await this.#firstPasses(gateMs, clock);
    controller.enter("running");
    this.running = this.life.alive;
  }

  /** As the daemon does. What cannot be taken back now is tried again. */
  async #watchTrials(controller: Controller, clock: GatewayClock): Promise<void> {
    const past = new History(this.#around.store, this.#around.snapshots);
    this.#trials = new Confirmations({ controller, past, clock, onFault: () => {} });
    await this.#trials.start();
  }

  #makeController(log: EventLog, clock: GatewayClock, state: State): Controller {
    const { chance, witness, onFault } = this.#around;
    const controller = new Controller({
      log,
      clock,
      entropy: () => chance.bits(),
      state,
      onFault: ({ message, cause }) => {
        if (message !== "append failed") onFault(`${message}: ${String(cause)}`);
      },
    });
    const submit = controller.submit.bind(controller);
    // Everyone's commands pass here, those of the lease clock and withdrawals too.
    controller.submit = async (input: SubmissionInput): Promise<Outcome> => {
      const command = { ...input, now: input.now ?? clock.now() } as Sent;
      witness.sent(command);
      const outcome = await submit(command);
      if (this.life.alive) witness.decided(command, outcome);
      return outcome;
    };
    return controller;
  }

  #openDataPlane(controller: Controller, clock: GatewayClock, instanceId: string): void {
    const { kernel, faults, chance, settings, haproxy } = this.#around;
    const onChange = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): void =>
      this.#watchGate(before, after);
    const watches = (): boolean => !this.initialized;
    const { nftables, died } = kernel.open(instanceId, { life: this.life, clock, faults, chance, watches, onChange });
    this.#closeSockets = died;
    this.names = new ServedNames(this.life, clock, this.#around.lastServed, this.#around.onFault);
    this.#reconcilers = createGatewayReconcilers(
      controller,
      instanceId,
      {
        guard: createGuardTarget(nftables),
        forwards: createForwardsTarget(nftables),
        sysctls: sysctlTarget(kernel.sysctls, sysctlNames(controller), this.life),
        dns: this.names,
        sni: settings.wan.httpRedirect === undefined ? null : haproxy.of(this.life),
        tunnel: null,
      },
      {
        clock,
        random: () => chance.share(),
        log: { warn: () => {} },
        metrics,
        initialized: () => this.initialized,
      },
    );
  }

  async #firstPasses(gateMs: number, clock: GatewayClock): Promise<void> {
    const reconcilers = this.#reconcilers as GatewayReconcilers;
    if (gateMs === 0) this.initialized = true;
    else clock.setAlarm(clock.now() + gateMs, () => void (this.initialized = true));
    await reconcilers.start();
    (this.controller as Controller).settleWith(reconcilers);
  }

  /** Before every source of desired rows was seen, what no fact explains stays. */
  #watchGate(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): void {
    for (const key of before.keys()) {
      if (!after.has(key) && this.#isUnexplained(key)) this.#around.witness.fail(`${key} was deleted behind the gate`);
    }
  }

  #isUnexplained(key: string): boolean {
    const { promises } = this.#around.witness;
    const [, address = ""] = STRANGER.exec(key) ?? [];
    return (promises.settings?.wan.interfaces ?? []).some((wan) => promises.addressesOf(wan)?.all.includes(address));
  }

  submit(command: Command, source: string): Promise<Outcome> {
    const controller = this.controller as Controller;
    return controller.submit({ ...command, source, requestId: this.#around.nextId() });
  }

  /** As the DNS server does with an update: answered when it is served, or as failed after 5 s. */
  async requestNames(command: Command, source: string): Promise<Outcome | null> {
    const [controller, clock] = [this.controller as Controller, this.clock as GatewayClock];
    const outcome = await this.submit(command, source);
    if (!outcome.ok) return outcome;
    const abort = new AbortController();
    const alarm = clock.setAlarm(clock.now() + SERVED_MAX_MS, () => abort.abort());
    const served = this.#reconcilers?.dns.settled(controller.state.dnsRevision, abort.signal);
    return await (served ?? Promise.reject(new Error("no reconcilers"))).then(
      () => {
        alarm.cancel();
        return outcome;
      },
      () => null,
    );
  }

  /** As a listener's request: answered when it is effective. */
  async request({ command, source, confirmWithin }: Request): Promise<Outcome> {
    const controller = this.controller as Controller;
    const envelope = {
      source,
      requestId: this.#around.nextId(),
      ...(confirmWithin !== undefined && { confirmWithin }),
    };
    if (command.type !== "revert") return controller.submitSettled({ ...command, ...envelope });
    const change = await new History(this.#around.store, this.#around.snapshots).change(command.seq);
    return controller.submitSettled({ type: "change.revert", change, ...envelope });
  }

  /** What the observers read; false if it could not be recorded. */
  async observeNetwork(): Promise<boolean> {
    const { settings, network } = this.#around;
    const commands: Command[] = [{ type: "settings.set", settings }];
    for (const name of [...settings.wan.interfaces, ...settings.lan.map((lan) => lan.interface)]) {
      const link = network.links.get(name);
      if (link === undefined) commands.push({ type: "interface.lose", name });
      else
        commands.push({ type: "interface.observe", name, up: link.up, addresses: [...link.addresses], gateway: null });
    }
    commands.push({ type: "listeners.observe", listeners: [...network.listeners] });
    let all = true;
    for (const command of commands) all = (await this.submit(command, "kernel")).ok && all;
    return all;
  }

  /** As on SIGTERM. */
  async stop(): Promise<void> {
    const controller = this.controller as Controller;
    this.running = false;
    this.#leaseClock?.close();
    await this.#trials?.close();
    if (controller.mode === "running") {
      await this.submit({ type: "controller.stop" }, "controller");
      await controller.idle();
      controller.enter("stopped");
    }
    await this.#reconcilers?.close();
    this.life.kill();
  }

  async saveSnapshot(): Promise<void> {
    const { snapshots, store } = this.#around;
    await new SnapshotKeeper(snapshots, store, () => (this.controller as Controller).state).create();
  }

  get reconcilers(): readonly RunningReconciler[] {
    return this.#reconcilers?.all ?? [];
  }

  get forwards(): RunningReconciler | null {
    return this.#reconcilers?.forwards ?? null;
  }
}

const SERVED_MAX_MS = 5000;
/** Elements that others add lead from ports that nobody here ever asks for. */
const STRANGER = /^forwards (\S+) \. tcp \. 6[2-4]\d{3}$/;
