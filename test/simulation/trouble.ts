import { APPEND_FAULTS, type AppendFault, CALL_FAULTS, type CallFault, type FaultKind } from "./faults.ts";
import { FORWARDS } from "./faulty-kernel.ts";
import { drawRequest } from "./requests.ts";
import type { Simulation } from "./simulation.ts";

const DAY_MS = 86_400_000;
/** So long after others were at the kernel nothing is held against an answer: to look may hang for 30 s, to mend for 5. */
const TAMPERED_MS = 45_000;
/** Nobody is ever granted these. */
const STRANGER_PORTS = { first: 62_000, last: 64_999 };
const PORTS = { first: 2000, last: 2014 };

/** Makes each kind of fault happen, or arms it. */
export class Trouble {
  readonly #simulation: Simulation;
  #tamperedAt: number | null = null;
  #pausedUntil = 0;
  #refusedForGood = false;
  #addressBefore: string[] | null = null;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get kernelIsUncertain(): boolean {
    const { machine, process } = this.#simulation;
    if ((process?.clock?.now() ?? 0) < this.#pausedUntil + TAMPERED_MS) return true;
    return this.#tamperedAt !== null && Math.abs(machine.uptimeMs - this.#tamperedAt) < TAMPERED_MS;
  }

  async make(kind: FaultKind): Promise<void> {
    const { faults, chance, kernel } = this.#simulation;
    this.#simulation.say(`trouble: ${kind}`);
    if (chance.happens(0.5)) kernel.refusals.clear();
    if ((APPEND_FAULTS as readonly string[]).includes(kind)) return faults.armAppend(kind as AppendFault);
    if ((CALL_FAULTS as readonly string[]).includes(kind)) {
      faults.armCall(kind as CallFault);
      if (kind === "half applied") this.#giveTwoTransactions();
      return;
    }
    if (await this.#happen(kind)) faults.count(kind);
  }

  /** Nothing goes wrong any more. */
  end(): void {
    const { faults, kernel, network, process } = this.#simulation;
    faults.clear();
    process?.life.spare();
    kernel.refusals.clear();
    const wan = network.links.get("wan0");
    if (wan !== undefined && (!wan.up || wan.addresses.length === 0)) this.#setWan(this.#addressBefore ?? [], true);
    this.#simulation.networkUnread = true;
  }

  async endSafeMode(): Promise<void> {
    const simulation = this.#simulation;
    simulation.say("safe mode");
    await simulation.elapse(2000);
    simulation.process?.life.kill();
    await simulation.revive();
  }

  /** What no fact explains waits for an operator; that is right only where others added that much. */
  async releaseBrake(): Promise<void> {
    const simulation = this.#simulation;
    const forwards = simulation.process?.forwards;
    if (this.#refusedForGood) void forwards?.run("operator");
    if ((forwards?.health.heldBack ?? 0) > 0) {
      if (!simulation.brakeExpected) simulation.witness.fail("deletes are held back that facts explain");
      forwards?.releaseBrake();
    }
    await simulation.elapse(3000);
  }

  async #happen(kind: FaultKind): Promise<boolean> {
    switch (kind) {
      case "disk full for a while":
        return this.#diskFull();
      case "killed at an await":
        return this.#killAtAwait();
      case "kernel refuses a row":
        return this.#refuse("Device or resource busy");
      case "kernel refuses a row for good":
        this.#refusedForGood = true;
        return this.#refuse("Invalid argument");
      case "wall clock years ahead":
        this.#simulation.machine.stepWallClock(3650 * DAY_MS);
        return true;
      case "wall clock a day back":
        this.#simulation.machine.stepWallClock(-DAY_MS);
        return true;
      case "suspended":
        return this.#suspend();
      case "request repeated":
      case "request overtaken":
        return this.#disorder(kind);
      case "reconciler paused":
        return this.#pause();
      case "DNS thread ended":
      case "DNS thread slow":
        return this.#disturbNames(kind);
      default:
        if (kind.endsWith("by others")) return this.#tamper(kind);
        if (/^(stopped|killed|rebooted|started)/.test(kind)) return this.#restart(kind);
        return this.#topology(kind);
    }
  }

  async #diskFull(): Promise<boolean> {
    const simulation = this.#simulation;
    simulation.faults.diskFull = true;
    for (let count = 0; count < 4; count += 1) {
      simulation.send(drawRequest(simulation.chance, simulation.witness.promises));
      await simulation.elapse(simulation.chance.between(0, 4000));
    }
    simulation.faults.diskFull = false;
    return true;
  }

  #killAtAwait(): boolean {
    const { process, chance } = this.#simulation;
    process?.life.killAtPoint(chance.between(1, 8));
    return process !== null;
  }

  /** A port that nobody holds yet, or one that is missing from then on: new promises fail, and old ones are tried again. */
  async #refuse(error: string): Promise<boolean> {
    const { kernel, chance, machine } = this.#simulation;
    const held = [...kernel.elements().keys()].filter((key) => /^forwards \S+ \. \S+ \. 20\d\d$/.test(key));
    if (held.length === 0 || chance.happens(0.5)) {
      kernel.refusals.set(chance.between(PORTS.first, PORTS.last), error);
      return true;
    }
    const element = chance.pick(held).slice("forwards ".length);
    kernel.refusals.set(Number(element.split(" ").at(-1)), error);
    this.#tamperedAt = machine.uptimeMs;
    const removed = kernel.foreign(`delete element inet ${FORWARDS} forwards { ${element} }`);
    await this.#simulation.elapse(chance.between(500, 3000));
    return removed;
  }

  /** The time passes, and what was due rings when it is over. */
  async #suspend(): Promise<boolean> {
    const { machine, chance } = this.#simulation;
    machine.advanceTo(machine.uptimeMs + chance.pick([60_000, 3_600_000]));
    await this.#simulation.elapse(600);
    return true;
  }

  #disorder(kind: "request repeated" | "request overtaken"): boolean {
    const simulation = this.#simulation;
    if (simulation.recent.length === 0) return false;
    const old = simulation.chance.pick(simulation.recent);
    if (kind === "request overtaken") simulation.held.push(old);
    else for (let times = simulation.chance.between(1, 3); times > 0; times -= 1) simulation.send(old);
    return true;
  }

  async #pause(): Promise<boolean> {
    const { process, chance } = this.#simulation;
    if (process?.running !== true) return false;
    const until = (process.clock?.now() ?? 0) + chance.between(1000, 20_000);
    this.#pausedUntil = until;
    void process.submit({ type: "reconciler.pause", name: "nftables-forwards", until }, "api:socket");
    await this.#simulation.elapse(0);
    return true;
  }

  #disturbNames(kind: "DNS thread ended" | "DNS thread slow"): boolean {
    const { process, options, chance } = this.#simulation;
    if (process?.names == null || !process.running || !options.names) return false;
    if (kind === "DNS thread ended") process.names.end();
    else process.names.slowDown(chance.between(100, 10_000));
    return true;
  }

  async #tamper(kind: FaultKind): Promise<boolean> {
    const { kernel, machine, chance } = this.#simulation;
    this.#tamperedAt = machine.uptimeMs;
    switch (kind) {
      case "element removed by others":
      case "element changed by others":
        return this.#alter(kind === "element changed by others");
      case "element added by others":
        return this.#addStrangers(1);
      case "many elements added by others":
        return this.#addMany();
      case "rule changed by others":
        return kernel.foreign(
          chance.pick([
            `flush chain inet ${FORWARDS} prerouting`,
            `add chain inet ${FORWARDS} theirs`,
            `add rule inet ${FORWARDS} inward counter`,
          ]),
        );
      case "table deleted by others":
        return kernel.foreign(`delete table inet ${chance.pick([FORWARDS, `${FORWARDS}_guard`])}`);
      case "ruleset flushed by others":
        kernel.flushRuleset();
        return true;
      case "sysctl changed by others":
        kernel.sysctls.set("net.ipv4.ip_forward", "0");
        return true;
      default:
        return false;
    }
  }

  #alter(change: boolean): boolean {
    const { kernel, chance } = this.#simulation;
    const all = [...kernel.elements()].filter(
      ([key]) => !key.startsWith("holders") && !(change && key.startsWith("ours")),
    );
    if (all.length === 0) return false;
    const [key, data] = chance.pick(all);
    const space = key.indexOf(" ");
    const [set, element] = [key.slice(0, space), key.slice(space + 1)];
    const commands = [`delete element inet ${FORWARDS} ${set} { ${element} }`];
    const other = set === "ranges" ? "192.168.77.99" : "192.168.77.99 . 9";
    if (change && data !== "") commands.push(`add element inet ${FORWARDS} ${set} { ${element} : ${other} }`);
    return kernel.foreign(commands.join("\n"));
  }

  /** A table that must be rebuilt, and an element that is then still missing, take one transaction each. */
  #giveTwoTransactions(): void {
    const { kernel, machine } = this.#simulation;
    this.#tamperedAt = machine.uptimeMs;
    kernel.foreign(`add chain inet ${FORWARDS} theirs`);
    this.#alter(false);
  }

  #addStrangers(count: number): boolean {
    const { kernel, chance, witness } = this.#simulation;
    const address = witness.promises.addressesOf(witness.promises.preferredWan())?.all[0];
    if (address === undefined) return false;
    const first = chance.between(STRANGER_PORTS.first, STRANGER_PORTS.last - count);
    const elements = Array.from({ length: count }, (_, index) => {
      return `${address} . tcp . ${first + index} : 192.168.77.99 . 9`;
    });
    return kernel.foreign(`add element inet ${FORWARDS} forwards { ${elements.join(", ")} }`);
  }

  get #strangers(): string[] {
    return [...this.#simulation.kernel.elements().keys()].filter((key) => /^forwards .* 6[2-4]\d{3}$/.test(key));
  }

  /** More than half of what is ours all at once, and no fact for it: the brake holds until an operator says so. */
  async #addMany(): Promise<boolean> {
    const simulation = this.#simulation;
    const { process, kernel } = simulation;
    const owned = kernel.elements().size + (process?.controller?.state.severed.size ?? 0);
    const before = new Set(this.#strangers);
    if (process?.running !== true || !this.#addStrangers(2 * owned + 15)) return false;
    simulation.brakeExpected = true;
    // Those that were let go of before may be on their way out.
    const added = this.#strangers.filter((key) => !before.has(key));
    await simulation.elapse(2000);
    if (!process.life.alive) return true;
    const left = new Set(this.#strangers);
    if (added.some((key) => !left.has(key)))
      simulation.witness.fail("many rows that no fact explains were deleted at once");
    process.forwards?.releaseBrake();
    return true;
  }

  async #restart(kind: FaultKind): Promise<boolean> {
    const simulation = this.#simulation;
    const { process, kernel, machine, chance } = simulation;
    if (process === null || !process.running) return false;
    let gateMs = simulation.options.gateMs;
    if (kind === "started from a snapshot") {
      if ((process.controller?.state.seq ?? 0) !== simulation.witness.promises.seq) return false;
      await process.saveSnapshot();
      for (let count = 0; count < 3; count += 1) simulation.send(drawRequest(chance, simulation.witness.promises));
      await simulation.elapse(100);
    }
    if (kind === "stopped and started") {
      process.stop().catch((error: unknown) => simulation.witness.fail(`the stop failed: ${String(error)}`));
      await simulation.until("the stop", () => !process.life.alive, 30_000);
    } else process.life.kill();
    this.#tamperedAt = machine.uptimeMs;
    if (kind === "started with a source missing") {
      if (!this.#addStrangers(1)) return false;
      gateMs = 3000;
    }
    if (kind.startsWith("rebooted")) {
      const other = chance.pick([0, machine.wallMs + 3650 * DAY_MS, machine.wallMs - DAY_MS]);
      kernel.reboot();
      simulation.haproxy.end();
      machine.reboot(kind === "rebooted" ? machine.wallMs + 60_000 : other);
    }
    simulation.restarts += 1;
    await simulation.elapse(chance.pick([0, 500, 30_000]));
    await simulation.start(gateMs);
    return true;
  }

  async #topology(kind: FaultKind): Promise<boolean> {
    const simulation = this.#simulation;
    const { network, chance } = simulation;
    const wan = network.links.get("wan0");
    if (wan === undefined) return false;
    switch (kind) {
      case "WAN address changed":
        this.#setWan([chance.pick(this.#addresses(wan.addresses[0]))], true);
        break;
      case "WAN address lost":
        this.#setWan(chance.happens(0.5) ? [] : wan.addresses, chance.happens(0.5));
        break;
      case "WAN address back":
        this.#setWan(this.#addressBefore ?? wan.addresses, true);
        break;
      case "interface flapped":
        for (let times = 0; times < 6; times += 1) {
          wan.up = !wan.up;
          simulation.networkUnread = true;
          await simulation.elapse(chance.between(0, 200));
          await simulation.tellNetwork();
        }
        break;
      case "interface gone and back":
        network.links.delete("wan0");
        simulation.networkUnread = true;
        await simulation.tellNetwork();
        await simulation.elapse(chance.between(0, 3000));
        network.links.set("wan0", wan);
        break;
      default:
        network.listeners = chance.pick([
          [],
          [{ protocol: "tcp", port: 2005 }],
          [
            { protocol: "udp", port: 2006 },
            { protocol: "tcp", port: 2008 },
          ],
        ]);
    }
    simulation.networkUnread = true;
    return true;
  }

  #addresses(without: string | undefined): string[] {
    const literal = this.#simulation.options.externalAddress !== "auto";
    const all = literal
      ? ["10.0.0.2/24", "10.0.0.9/24"]
      : ["11.22.33.1/24", "11.22.33.9/24", "55.66.77.88/24", "192.168.100.2/24"];
    return all.filter((address) => address !== without);
  }

  #setWan(addresses: readonly string[], up: boolean): void {
    const { network } = this.#simulation;
    const wan = network.links.get("wan0");
    if (wan === undefined) return;
    if (wan.addresses.length > 0) this.#addressBefore = [...wan.addresses];
    network.links.set("wan0", { up, addresses: [...addresses] });
  }
}
