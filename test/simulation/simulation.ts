import { epochOf } from "../../src/adapters/pcp-server/standing.ts";
import type { PortreeveRecord } from "../../src/events/index.ts";
import type { EventLog, LogBatch } from "../../src/events/log.ts";
import { memoryLog } from "../../src/events/log-memory.ts";

import type { Outcome } from "../../src/reducers/decide/command.ts";
import { replay } from "../../src/reducers/fold.ts";
import { checkInvariants } from "../../src/reducers/invariants.ts";
import { clientAddresses } from "../../src/reducers/select/client-address.ts";
import { stateHash, stateToJson } from "../../src/reducers/state-json.ts";
import { Chance } from "./chance.ts";
import { differences, expectedElements } from "./expected-kernel.ts";
import { expectedRoutes, SHARED_BY_NAME } from "./expected-routes.ts";
import { type FaultKind, Faults } from "./faults.ts";
import { FaultyKernel } from "./faulty-kernel.ts";
import { MemorySnapshots } from "./faulty-log.ts";
import { GatewayProcess, type Network, type Surroundings } from "./gateway-process.ts";
import { Machine } from "./machine.ts";
import { unserved } from "./name-rules.ts";
import { expectedRows } from "./names.ts";
import { drawOptions, type Options, settingsOf } from "./options.ts";
import { drawRequest, type Request } from "./requests.ts";
import { LAN_PREFIXES } from "./right-requests.ts";
import { isOpen } from "./promises.ts";
import { ServedRoutes } from "./served-routes.ts";
import { Trouble } from "./trouble.ts";
import { Witness } from "./witness.ts";

/** The last retry comes after 60 s, less jitter; the guard and the forwards are looked at again by themselves within 5 min. */
const QUIET_MS = 75_000;
/** Longest an answer may take: a kernel that hangs, then what is left of the settle time, then a slow append. */
const ANSWER_MAX_MS = 60_000;
/** No answer waits for the guard: it follows within 100 ms. */
const GUARD_LAG_MS = 150;
/** A change that could not be taken back in its time is tried again every 5 s. */
const TRIAL_LAG_MS = 10_000;
const STEPS_SHOWN = 60;
/** More is a retry without a backoff: what fails is tried with 100 ms in between, then twice that, and so on. */
const TRANSACTIONS_AT_ONCE = 250;
const TRANSACTIONS_PER_MS = 0.1;

export interface Report {
  readonly options: Options;
  readonly violations: readonly string[];
  readonly steps: readonly string[];
  readonly fired: ReadonlyMap<FaultKind, number>;
  readonly commands: number;
  readonly restarts: number;
  readonly events: number;
}

const lanAddresses = (prefix: string | null): string[] => [
  "192.168.77.1/24",
  ...(prefix === null ? [] : [`${prefix}::1/64`]),
];

/** One seed: a schedule of requests and faults against the real parts, judged by the witness. */
export async function simulate(seed: number): Promise<Report> {
  const simulation = new Simulation(seed);
  await simulation.run();
  return simulation.report();
}

export class Simulation {
  readonly chance: Chance;
  readonly options: Options;
  readonly machine = new Machine();
  readonly kernel = new FaultyKernel();
  readonly faults = new Faults();
  readonly haproxy = new ServedRoutes();
  readonly snapshots = new MemorySnapshots();
  readonly network: Network;
  readonly witness: Witness;
  process: GatewayProcess | null = null;
  /** The network changed and no process has recorded it yet. */
  networkUnread = false;
  /** Others added so much that the brake must hold. */
  brakeExpected = false;
  restarts = 0;
  readonly recent: Request[] = [];
  readonly held: Request[] = [];
  readonly #store: EventLog;
  readonly #around: Surroundings;
  readonly #trouble: Trouble;
  readonly #steps: string[] = [];
  /** Requests without an answer: which process has them, and since when. */
  readonly #unanswered = new Map<object, { process: GatewayProcess; since: number }>();
  #commands = 0;
  #ids = 0;
  #activity = 0;
  readonly #firstShapes = new Map<string, string>();
  #appendedAt = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.options = drawOptions(seed, this.chance);
    this.#store = this.#observed(memoryLog());
    this.witness = new Witness(this.#store, this.options.rights);
    const wan0 = this.options.externalAddress === "auto" ? "11.22.33.1/24" : "10.0.0.2/24";
    this.network = {
      links: new Map([
        ["lan0", { up: true, addresses: lanAddresses(this.options.rights ? LAN_PREFIXES[0] : null) }],
        ["wan0", { up: true, addresses: [wan0] }],
        ["wan1", { up: true, addresses: ["44.55.66.1/24"] }],
      ]),
      listeners: [{ protocol: "tcp", port: 2005 }],
    };
    this.#around = {
      machine: this.machine,
      kernel: this.kernel,
      store: this.#store,
      snapshots: this.snapshots,
      faults: this.faults,
      chance: this.chance,
      witness: this.witness,
      settings: settingsOf(this.options),
      network: this.network,
      nextId: () => this.#nextId(),
      onFault: (message) => this.witness.fail(message),
      lastServed: { serial: 0, names: "" },
      haproxy: this.haproxy,
    };
    this.#trouble = new Trouble(this);
  }

  async run(): Promise<void> {
    try {
      await this.start(0);
      const { commands, faults } = this.options;
      let due = 0;
      while (this.#commands < commands && !this.broken) {
        for (; (faults[due]?.before ?? Number.POSITIVE_INFINITY) <= this.#commands; due += 1) {
          await this.#trouble.make((faults[due] as { kind: FaultKind }).kind);
        }
        await this.#step();
      }
      if (!this.broken) await this.#quiet();
    } catch (error) {
      this.witness.fail(`threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    this.process?.life.kill();
  }

  report(): Report {
    return {
      options: this.options,
      violations: this.witness.violations,
      steps: this.#steps.slice(-STEPS_SHOWN),
      fired: this.faults.fired,
      commands: this.#commands,
      restarts: this.restarts,
      events: this.#store.head.seq,
    };
  }

  get broken(): boolean {
    return this.witness.violations.length > 0;
  }

  say(text: string): void {
    this.#steps.push(`${this.machine.uptimeMs} ${text}`);
    if (this.#steps.length > 10 * STEPS_SHOWN) this.#steps.splice(0, 5 * STEPS_SHOWN);
  }

  /** Everything that waits for nothing but promises and turns of the event loop happens. */
  async turns(): Promise<void> {
    let before: number;
    do {
      before = this.#activity;
      // Two: what a promise of the first asks for gets a turn before time goes on.
      for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    } while (this.#activity !== before);
  }

  async elapse(ms: number): Promise<void> {
    const end = this.machine.uptimeMs + ms;
    const transactionsMax = this.kernel.transactions + TRANSACTIONS_AT_ONCE + ms * TRANSACTIONS_PER_MS;
    await this.turns();
    for (let next = this.machine.nextAlarmAt; next !== null && next <= end; next = this.machine.nextAlarmAt) {
      this.machine.advanceTo(next);
      await this.turns();
      if (this.kernel.transactions > transactionsMax) this.witness.fail("the kernel was asked without a pause");
      if (this.broken) return;
    }
    this.machine.advanceTo(Math.max(end, this.machine.uptimeMs));
    await this.turns();
  }

  /** Time until something holds, in small steps. */
  async until(what: string, holds: () => boolean, maxMs: number): Promise<boolean> {
    for (let waited = 0; waited <= maxMs && !this.broken; waited += 500) {
      if (holds()) return true;
      await this.elapse(500);
    }
    if (!holds() && !this.broken) this.witness.fail(`${what}: not within ${maxMs / 1000} s`);
    return holds();
  }

  /** Begins a process where none is. */
  async start(gateMs: number): Promise<void> {
    this.say(`start with the log at ${this.#store.head.seq}`);
    const process = new GatewayProcess(this.#around, gateMs);
    this.process = process;
    process.ready.catch((error: unknown) => this.witness.fail(`the start failed: ${String(error)}`));
    for (let waited = 0; waited < 300_000 && !process.running && process.life.alive; waited += 250) {
      await this.elapse(waited === 0 ? 0 : 250);
    }
    if (!process.life.alive) return;
    if (!process.running) this.witness.fail("a process did not come to run");
    this.networkUnread = false;
  }

  /** A supervisor: whatever ended is begun again. */
  async revive(): Promise<void> {
    for (let tries = 0; !this.broken && this.process?.life.alive !== true; tries += 1) {
      if (tries > 20) this.faults.clear();
      this.restarts += 1;
      await this.elapse(this.chance.between(0, 1500));
      await this.start(this.options.gateMs);
    }
  }

  send(request: Request): void {
    const { command, source } = request;
    const process = this.process;
    if (process?.running !== true || !process.life.alive) return;
    this.#commands += 1;
    this.#activity += 1;
    const about = "device" in command ? ` ${command.device}` : "id" in command ? ` ${command.id}` : "";
    this.say(`${this.#commands} ${source} ${command.type}${about} ${JSON.stringify(command)}`);
    const token = {};
    this.#unanswered.set(token, { process, since: this.machine.uptimeMs });
    const answer = command.type === "dns.update" ? process.requestNames(command, source) : process.request(request);
    answer.then(
      (outcome) => {
        this.#unanswered.delete(token);
        // Null: it is kept, and could not be said to be served.
        if (!process.life.alive || outcome === null) return;
        this.#answered(process, command, outcome);
      },
      (error: unknown) => this.witness.fail(`${command.type} was rejected: ${String(error)}`),
    );
  }

  #answered(process: GatewayProcess, command: Request["command"], outcome: Outcome): void {
    this.#activity += 1;
    this.#checkEpoch(process);
    if (!outcome.ok) return this.say(`  refused ${outcome.refusal.code}: ${outcome.refusal.message}`);
    this.say(`  answered ${JSON.stringify(outcome.answer)} at ${outcome.seq}`);
    this.witness.told(outcome);
    if (outcome.answer.kind === "mapped") this.#checkEffective(outcome.answer, outcome.seq);
    if (command.type !== "dns.update") return;
    const served = process.names?.texts() ?? new Map<string, string>();
    for (const each of unserved(this.witness.promises.names, command.update, outcome.seq, served))
      this.witness.fail(each);
  }

  /** Acknowledged means effective, unless others were at the kernel since. */
  #checkEffective({ mappingId, externalPort }: { mappingId: string; externalPort: number }, seq: number): void {
    const { promises } = this.witness;
    const mapping = promises.mappings.get(mappingId);
    if (mapping === undefined || !isOpen(mapping) || this.#trouble.kernelIsUncertain) return;
    // What was decided since may be on its way to the kernel.
    if (Math.max(mapping.changedAt, promises.topologyAt) > seq) return;
    const { protocol, internalAddress } = mapping;
    const isRange = mapping.count > 1 && mapping.externalPort === mapping.internalPort;
    const shared = [mapping, ...promises.named(mapping.wan, protocol, externalPort)].filter(
      (each) => each.name !== null,
    );
    const addresses = promises.addressesOf(mapping.wan)?.all ?? [];
    const itself = `${internalAddress} . ${mapping.internalPort + externalPort - mapping.externalPort}`;
    const to = shared.some(isOpen) ? `${addresses[0]} . ${SHARED_BY_NAME}` : itself;
    for (const address of isRange ? [] : addresses) {
      const found = this.kernel.target(address, protocol, externalPort);
      if (found === to) continue;
      this.witness.fail(`${address} ${protocol} ${externalPort} was acknowledged for ${to} and leads to ${found}`);
    }
  }

  /** What every reply tells, and ANNOUNCE, which asks the controller nothing: seconds since the start of the epoch. */
  #checkEpoch(process: GatewayProcess): void {
    const { controller, clock } = process;
    if (controller === null || clock === null || !process.running) return;
    const { state, mode } = controller;
    if (state.seq !== this.witness.promises.seq) return;
    const start = state.epochs["lan0"]?.startedAt;
    const expected = this.witness.promises.epochStart;
    if (start !== expected) this.witness.fail(`the epoch began at ${start} and should have at ${expected}`);
    const moment = { state, mode, now: clock.now(), serverStartedAt: 0, clients: clientAddresses };
    this.witness.toldEpoch(epochOf(moment, "lan0"));
  }

  async #step(): Promise<void> {
    await this.revive();
    if (this.process === null || this.broken) return;
    if (this.process.controller?.mode === "safe") await this.#trouble.endSafeMode();
    if (this.options.rights && this.chance.happens(0.02)) this.#renumber();
    await this.tellNetwork();
    if (this.process.running) this.#checkEpoch(this.process);
    const request = this.held.length > 0 && this.chance.happens(0.3) ? this.held.shift() : undefined;
    const next = request ?? drawRequest(this.chance, this.witness.promises, this.recent, this.options.sharing);
    this.recent.push(next);
    if (this.recent.length > 12) this.recent.shift();
    this.send(next);
    if (this.chance.happens(0.35)) return;
    await this.elapse(this.#pause());
    if (this.chance.happens(0.04)) await this.#rest();
  }

  /** The provider gives the LAN another prefix of IPv6. */
  #renumber(): void {
    const prefix = this.chance.pick(LAN_PREFIXES);
    this.network.links.set("lan0", { up: true, addresses: lanAddresses(prefix) });
    this.networkUnread = true;
  }

  #pause(): number {
    const length = this.chance.weighted({ short: 90, middle: 9, long: 1 });
    if (length === "short") return this.chance.between(0, 300);
    return length === "middle" ? this.chance.between(500, 8000) : this.chance.between(20_000, 90_000);
  }

  /** As the observers do: read and recorded, or read again later. */
  async tellNetwork(): Promise<void> {
    const process = this.process;
    if (!this.networkUnread || process?.running !== true) return;
    this.networkUnread = false;
    const again = (): void => {
      this.networkUnread = true;
    };
    process.observeNetwork().then(
      (all) => {
        if (!all) again();
      },
      (error: unknown) => this.witness.fail(`the network could not be recorded: ${String(error)}`),
    );
    await this.elapse(0);
  }

  /** Where nothing is known to be wrong, nothing may be wrong. */
  async #rest(): Promise<void> {
    await this.elapse(1500);
    const process = this.process;
    if (process?.running !== true || this.#waits(process, 0) || this.networkUnread) return;
    if (this.#guardLags()) return;
    if (process.controller?.mode !== "running" || this.kernel.callsUnderWay > 0) return;
    if ((process.names?.underWay ?? 0) > 0) return;
    if (process.reconcilers.some(({ health }) => health.level !== "ok") || this.kernel.refusals.size > 0) return;
    this.#compare("at rest");
  }

  #guardLags(): boolean {
    return this.machine.uptimeMs - this.#appendedAt < GUARD_LAG_MS;
  }

  #waits(process: GatewayProcess, longerThanMs: number): boolean {
    const { uptimeMs } = this.machine;
    return [...this.#unanswered.values()].some(
      (each) => each.process === process && uptimeMs - each.since >= longerThanMs,
    );
  }

  #compare(when: string): void {
    this.witness.foldAll();
    for (const each of differences(expectedElements(this.witness.promises), this.kernel.elements())) {
      this.witness.fail(`${when}: ${each}`);
    }
    if (this.options.names) {
      const served = this.process?.names?.texts() ?? new Map<string, string>();
      for (const each of differences(expectedRows(this.witness.promises.names), served)) {
        this.witness.fail(`${when}: ${each}`);
      }
    }
    const led = expectedRoutes(this.witness.promises);
    for (const each of this.options.sharing ? differences(led, this.#around.haproxy.texts()) : []) {
      this.witness.fail(`${when}: ${each}`);
    }
    if (!this.kernel.foreignIsWhole) this.witness.fail(`${when}: a table of others was touched`);
    // With HAProxy, and with WireGuard, there are a few rules more.
    const shape = this.kernel.shape();
    const served = `${led.has("proxy")} ${this.witness.promises.rights?.tunnelled}`;
    const first = this.#firstShapes.get(served) ?? shape;
    this.#firstShapes.set(served, first);
    if (shape !== first) this.witness.fail(`${when}: chains or rules are not as they were:\n${shape}`);
  }

  /** The world becomes kind; then all must come right by itself. */
  async #quiet(): Promise<void> {
    this.say("quiet");
    this.#trouble.end();
    await this.revive();
    if (this.process?.controller?.mode === "safe") await this.#trouble.endSafeMode();
    for (let tries = 0; tries < 20 && this.networkUnread; tries += 1) {
      await this.tellNetwork();
      await this.elapse(1000);
    }
    await this.elapse(QUIET_MS);
    const process = this.process as GatewayProcess;
    if (!process.life.alive) return this.witness.fail("the process died in the quiet");
    await this.#trouble.releaseBrake();
    // A lease may have ended this very moment.
    while (this.#guardLags()) await this.elapse(GUARD_LAG_MS);
    for (const { name, health } of process.reconcilers) {
      if (health.level !== "ok") this.witness.fail(`in quiet ${name} is ${health.level}: ${health.message}`);
    }
    if (this.#waits(process, ANSWER_MAX_MS)) this.witness.fail("a request was never answered");
    this.#compare("in quiet");
    this.#checkLeases(process);
    for (const [name, value] of this.kernel.sysctls) {
      // A gateway for IPv6 takes its own default route from its provider all the same.
      if (value !== (name.endsWith(".accept_ra") ? "2" : "1")) this.witness.fail(`${name} stayed ${value}`);
    }
    await this.#checkReplay(process);
  }

  #checkLeases(process: GatewayProcess): void {
    const now = process.clock?.now() ?? 0;
    for (const mapping of this.witness.promises.mappings.values()) {
      for (const { key, latest } of mapping.claims.values()) {
        if (latest !== null && latest < now - 1000) this.witness.fail(`${mapping.id} ${key} is over and still there`);
      }
    }
    for (const [id, until] of this.witness.promises.rights?.trials ?? []) {
      if (until < now - TRIAL_LAG_MS) this.witness.fail(`${id} awaits its confirmation since it is over`);
    }
    for (const { id, name, latest } of this.witness.promises.names.records.values()) {
      if (latest !== null && latest < now - 1000) this.witness.fail(`${name} (${id}) is over and still there`);
    }
  }

  async #checkReplay(process: GatewayProcess): Promise<void> {
    const state = process.controller?.state;
    if (state === undefined) return;
    const replayed = await replay(this.#store.read(0));
    if (stateHash(replayed) !== stateHash(state)) {
      const [live, again] = [stateToJson(state), stateToJson(replayed)];
      const other = Object.keys(live).filter((part) => JSON.stringify(live[part]) !== JSON.stringify(again[part]));
      this.witness.fail(`replay is another state in ${other.join(", ")}`);
    }
    for (const fault of checkInvariants(state)) this.witness.fail(fault);
  }

  #observed(store: EventLog): EventLog {
    const append = store.append.bind(store);
    store.append = async (batch: LogBatch): Promise<readonly PortreeveRecord[]> => {
      const written = await append(batch);
      this.#activity += 1;
      this.#appendedAt = this.machine.uptimeMs;
      this.witness.appended(written);
      return written;
    };
    return store;
  }

  #nextId(): string {
    this.#ids += 1;
    this.#activity += 1;
    return `q${this.#ids}`;
  }
}
