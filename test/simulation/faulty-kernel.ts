import { Executor } from "../../src/adapters/nftables/executor.ts";
import type { Calls, CallName } from "../../src/adapters/nftables/messages.ts";
import type { Nft } from "../../src/adapters/nftables/nft-library.ts";
import { type KernelLink, Nftables } from "../../src/adapters/nftables/nftables.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { PortreeveError } from "../../src/lib/errors.ts";
import type { Part } from "../../src/protocols/nftables-json/element.ts";
import { keyText } from "../../src/protocols/nftables-json/fake-set.ts";
import type { Outcome, Target } from "../../src/reconcilers/contract.ts";
import type { SysctlRow } from "../../src/reducers/select/rows.ts";
import { FakeKernel, FakeWatch } from "../unit/adapters/nftables/fake-kernel.ts";
import type { Chance } from "./chance.ts";
import type { Faults } from "./faults.ts";
import type { Life } from "./life.ts";

export const FORWARDS = "portreeve";
const FOREIGN = "add table inet others\nadd set inet others theirs { type inet_service; }\n";
const FORWARD_SETS = ["forwards", "ranges", "outbound", "ours", "restricted", "allowed", "allowed_ports"] as const;
const PINHOLE_SETS = ["pinholes", "pinholes_from", "pinholes_from_ports"] as const;

export interface KernelUser {
  readonly life: Life;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly chance: Chance;
  /** Whether `onChange` wants to know. */
  readonly watches: () => boolean;
  /** Called around each change by this process. */
  readonly onChange: (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) => void;
}

const lost = (message: string): PortreeveError => new PortreeveError("UNAVAILABLE", message, "transient");

/** The kernel of the machine: the real adapter's fake one, whose calls fail, hang, stop half-way or lose their reply. */
export class FaultyKernel {
  #kernel = new FakeKernel();
  readonly sysctls = new Map<string, string>();
  /** Port → errno text with which transactions that hold it are refused. */
  readonly refusals = new Map<number, string>();
  /** Calls that are not answered yet, of whatever process. */
  callsUnderWay = 0;
  /** Transactions that a process made, refused ones with them. */
  transactions = 0;

  constructor() {
    this.#kernel.foreign(FOREIGN);
  }

  /** A boot: nothing is in it but what others load early. */
  reboot(): void {
    this.#kernel = new FakeKernel();
    this.#kernel.foreign(FOREIGN);
    this.sysctls.clear();
  }

  /** All elements of ours by row-like names: "forwards 11.22.33.1 . tcp . 80" → "192.168.77.2 . 80". */
  elements(): Map<string, string> {
    const all = new Map<string, string>();
    const add = (table: string, set: string): void => {
      for (const { key, data } of this.#kernel.ruleset.elements(table, set)) {
        all.set(`${set} ${keyText(key)}`, data === null ? "" : keyText(data));
      }
    };
    for (const set of [...FORWARD_SETS, ...PINHOLE_SETS]) add(FORWARDS, set);
    add(`${FORWARDS}_guard`, "holders");
    return all;
  }

  /** Where a single external port leads. */
  target(address: string, protocol: string, port: number): string | null {
    const found = this.#kernel.ruleset.find(FORWARDS, "forwards", [address, protocol, port]);
    return found === null ? null : keyText(found.data as Part[]);
  }

  /** Chains, rules and declarations of our tables, in any order: a mended table lists them in another. */
  shape(): string {
    const tables = this.#kernel.ruleset.dump(true).split(/^(?=table )/m);
    const ours = tables.filter((table) => table.startsWith("table inet portreeve"));
    return ours
      .map((table) => table.split("\n").sort().join("\n"))
      .sort()
      .join("\n");
  }

  get foreignIsWhole(): boolean {
    const { ruleset } = this.#kernel;
    return ruleset.tables().has("others") && ruleset.listSetJson("others", "theirs") !== null;
  }

  has(table: string): boolean {
    return this.#kernel.ruleset.tables().has(table);
  }

  /** Another program's transaction; false if the kernel refused it. */
  foreign(commands: string): boolean {
    try {
      this.#kernel.foreign(commands);
      return true;
    } catch {
      return false;
    }
  }

  flushRuleset(): void {
    const tables = [...this.#kernel.ruleset.tables().keys()];
    this.#kernel.ruleset.flush();
    this.#kernel.foreign(FOREIGN);
    for (const table of tables) this.#kernel.onForeign?.(table, "nft (99)");
  }

  /** nftables as one process has it. Its sockets close when it dies. */
  open(instanceId: string, user: KernelUser): { nftables: Nftables; died: () => void } {
    const kernel = this.#kernel;
    const budget = { transactions: Number.POSITIVE_INFINITY };
    const raw = kernel.nft();
    const executor = new Executor(this.#refusing(raw, budget), kernel.netfilter(), "portreeve");
    let queue: Promise<unknown> = Promise.resolve();
    const link: KernelLink = {
      busy: false,
      call: (name, request, timeoutMs) => {
        this.callsUnderWay += 1;
        const reply = queue.then(() => this.#call({ executor, budget, nftables, user }, name, request, timeoutMs));
        const answered = (): void => void (this.callsUnderWay -= 1);
        queue = reply.then(answered, answered);
        return reply;
      },
      close: async () => raw.close(),
    };
    const nftables = new Nftables(instanceId, link, new FakeWatch(kernel));
    const died = (): void => {
      raw.close();
      this.callsUnderWay = 0;
    };
    return { nftables, died };
  }

  #refusing(nft: Nft, budget: { transactions: number }): Nft {
    return {
      ...nft,
      transact: (commands) => {
        this.transactions += 1;
        budget.transactions -= 1;
        if (budget.transactions < 0) throw lost("the thread died between two transactions");
        for (const [port, error] of this.refusals) {
          if (holdsElement(commands, port)) return { ok: false, error: `Error: Could not process rule: ${error}\n` };
        }
        return nft.transact(commands);
      },
    };
  }

  async #call<N extends CallName>(
    thread: { executor: Executor; budget: { transactions: number }; nftables: Nftables; user: KernelUser },
    name: N,
    request: Calls[N]["request"],
    timeoutMs: number,
  ): Promise<Calls[N]["reply"]> {
    const { life, clock, faults, chance } = thread.user;
    await life.point();
    const fault = name === "identify" ? null : faults.takeCall(name === "apply");
    const fail = (message: string): never => {
      thread.nftables.threadLost(message);
      throw lost(message);
    };
    if (fault === "kernel call fails") fail("the thread failed");
    if (fault === "kernel call is slow") await life.wait(chance.between(20, timeoutMs - 1000), clock);
    if (fault === "kernel call times out") {
      if (chance.happens(0.5)) this.#execute(thread, name, request);
      await life.wait(timeoutMs, clock);
      fail(`no answer to ${name} in ${timeoutMs} ms`);
    }
    if (fault === "half applied") this.#executeHalf(thread, name, request, fail);
    const reply = this.#execute(thread, name, request);
    if (fault === "reply of the kernel is lost") fail("the thread ended");
    await life.point();
    return reply;
  }

  #executeHalf<N extends CallName>(
    thread: { executor: Executor; budget: { transactions: number }; user: KernelUser },
    name: N,
    request: Calls[N]["request"],
    fail: (message: string) => never,
  ): void {
    thread.budget.transactions = 1;
    try {
      this.#execute(thread, name, request);
    } catch (error) {
      if (!(error instanceof PortreeveError) || thread.budget.transactions >= 0) throw error;
      thread.user.faults.count("half applied");
      fail(error.message);
    } finally {
      thread.budget.transactions = Number.POSITIVE_INFINITY;
    }
    fail("the thread died after its first transaction");
  }

  #execute<N extends CallName>(
    { executor, user }: { executor: Executor; user: KernelUser },
    name: N,
    request: Calls[N]["request"],
  ): Calls[N]["reply"] {
    const before = name === "apply" && user.watches() ? this.elements() : null;
    const reply = structuredClone(executor.call(name, structuredClone(request)));
    executor.endLateFlows();
    if (before !== null) user.onChange(before, this.elements());
    return reply;
  }
}

/** Elements only: a rate limit may be the same number. */
function holdsElement(commands: string, port: number): boolean {
  const elements = commands.startsWith("{") ? commands : (commands.match(/^\S+ element .*$/gm) ?? []).join("\n");
  return new RegExp(`\\b${port}\\b`).test(elements);
}

/** /proc/sys with the rules of the real target: only desired names are looked at, nobody tells of changes. */
export function sysctlTarget(
  sysctls: Map<string, string>,
  names: () => Iterable<string>,
  life: Life,
): Target<SysctlRow, string> {
  return {
    name: "sysctls",
    async observe() {
      await life.point();
      return new Map([...names()].map((name) => [name, sysctls.get(name) ?? "0"]));
    },
    expected: (spec) => spec.value,
    unchanged: () => true,
    async apply(plan) {
      await life.point();
      return plan.map((change): Outcome => {
        if (change.op !== "delete") sysctls.set(change.key, change.desired.spec.value);
        return { key: change.key, ok: true };
      });
    },
  };
}
