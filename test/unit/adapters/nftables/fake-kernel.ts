import type { Flow } from "../../../../src/adapters/nftables/conntrack-message.ts";
import { textOfWords, wordsOf } from "../../../../src/adapters/nftables/address-words.ts";
import { type ElementFields, type SetLayout, viaOfChain } from "../../../../src/adapters/nftables/element-columns.ts";
import { ipv6Of } from "../../../../src/adapters/nftables/set-elements.ts";
import { Executor } from "../../../../src/adapters/nftables/executor.ts";
import type { Netfilter } from "../../../../src/adapters/nftables/netfilter.ts";
import type { Nft, NftResult } from "../../../../src/adapters/nftables/nft-library.ts";
import { type KernelLink, Nftables, type TableWatch } from "../../../../src/adapters/nftables/nftables.ts";
import { NetlinkError } from "../../../../src/adapters/nftables/netlink-socket.ts";
import { formatIpv4, parseIpv4 } from "../../../../src/lib/ip.ts";
import { isVerdict, type Part, partText } from "../../../../src/protocols/nftables-json/element.ts";
import { FakeRuleset } from "../../../../src/protocols/nftables-json/fake.ts";
import type { FakeElement } from "../../../../src/protocols/nftables-json/fake-set.ts";

const NUMBERS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };
const NAMES: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp" };

/** One network namespace in memory: a ruleset, its flows, and whoever else writes there. */
export class FakeKernel {
  readonly ruleset = new FakeRuleset();
  flows: Flow[] = [];
  /** Listings of flows that fail before one works again. */
  flowFaults = 0;
  /** What ran, newest last. */
  readonly transactions: string[] = [];
  /** Calls back with each foreign change of a table. */
  onForeign: ((table: string, by: string) => void) | null = null;
  #sockets = 0;

  /** Another program's transaction. */
  foreign(commands: string, by = "nft (99)"): void {
    const error = this.ruleset.run(commands);
    if (error !== null) throw new Error(error);
    const tables = new Set([...commands.matchAll(/ inet (\S+)/g)].map(([, table]) => table as string));
    for (const table of tables) this.onForeign?.(table, by);
  }

  nft(): Nft {
    this.#sockets += 1;
    const owner = this.#sockets;
    const run = (commands: string, socket: number): NftResult => {
      this.transactions.push(commands);
      const error = this.ruleset.run(commands, socket);
      return error === null ? { ok: true, output: "" } : { ok: false, error };
    };
    return {
      name: "libnftables",
      transact: (commands) => run(commands, 0),
      rehearse: (commands) => {
        const error = this.ruleset.rehearse(commands);
        return error === null ? { ok: true, output: "" } : { ok: false, error };
      },
      transactAsOwner: (commands) => run(commands, owner),
      listTerse: () => ({ ok: true, output: this.ruleset.dump(true) }),
      listJson: (command) => {
        const [, table = "", set = ""] = /^list set inet (\S+) (\S+)$/.exec(command) ?? [];
        const output = this.ruleset.listSetJson(table, set);
        return output === null ? { ok: false, error: "Error: No such file or directory" } : { ok: true, output };
      },
      close: () => this.ruleset.closeSocket(owner),
    };
  }

  netfilter(): Netfilter {
    return {
      generation: () => ({ id: this.ruleset.generation, thread: 1 }),
      tables: () => this.ruleset.tables(),
      dormantTables: () => new Set(),
      elements: (table, set, layout, into) => {
        let strays = 0;
        for (const element of this.ruleset.elements(table, layout.name)) {
          const fields = fieldsOf(element, set, layout);
          if (fields === null) strays += 1;
          else into.push(fields);
        }
        return strays;
      },
      element: (table, layout, fields) => {
        const found = this.ruleset.find(table, layout.name, keyOf(layout, fields));
        return found === null ? null : fieldsOf(found, fields.set, layout);
      },
      flows: (direction, address) => {
        if (this.flowFaults > 0) {
          this.flowFaults -= 1;
          throw new NetlinkError("ENOBUFS", "the kernel had no room");
        }
        return this.flows.filter((flow) => flow[direction].destination === address);
      },
      forgetFlow: (flow) => {
        this.flows = this.flows.filter((each) => each.id !== flow.id);
      },
      markFlow: (flow, mark) => {
        this.flows = this.flows.map((each) => (each.id === flow.id ? { ...each, mark: each.mark | mark } : each));
      },
      close: () => undefined,
    };
  }

  #executor: Executor | null = null;

  /** What the thread does by itself a moment after a transaction. */
  endLateFlows(): void {
    this.#executor?.endLateFlows();
  }

  /** As `openNftables` does, in this thread. */
  open(instanceId: string): Nftables {
    const executor = new Executor(this.nft(), this.netfilter(), "portreeve");
    this.#executor = executor;
    const link: KernelLink = {
      busy: false,
      call: async (name, request) => structuredClone(executor.call(name, structuredClone(request) as never)) as never,
      close: async () => executor.close(),
    };
    return new Nftables(instanceId, link, new FakeWatch(this));
  }
}

/** Tells of foreign changes at once. */
export class FakeWatch implements TableWatch {
  readonly #changes = new Map<string, number>();
  readonly #listeners = new Set<{ table: string; call: (by: string) => void }>();
  #doubts = 0;

  constructor(kernel: FakeKernel) {
    kernel.onForeign = (table, by) => {
      this.#changes.set(table, (this.#changes.get(table) ?? 0) + 1);
      for (const listener of this.#listeners) if (listener.table === table) listener.call(by);
    };
  }

  setOwn(): void {}
  changes = (table: string): number => (this.#changes.get(table) ?? 0) + this.#doubts;
  doubt(by: string): void {
    this.#doubts += 1;
    for (const { call } of this.#listeners) call(by);
  }
  onChange(table: string, call: (by: string) => void): { close(): void } {
    const listener = { table, call };
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }
  close(): void {
    this.#listeners.clear();
  }
}

function keyOf(layout: SetLayout, fields: ElementFields): Part[] {
  return layout.key.map((field): Part => {
    if (field === "address") return formatIpv4(fields.address);
    if (field === "address6") return textOfWords(ipv6Of(fields).address);
    if (field === "source6") return textOfWords(ipv6Of(fields).source);
    if (field === "source") return formatIpv4(fields.toAddress);
    if (field === "sourcePort") return fields.sourcePort;
    if (field === "protocol") return NAMES[fields.protocol] ?? fields.protocol;
    return fields.firstPort;
  });
}

type Writable = { -readonly [Name in keyof ElementFields]: ElementFields[Name] };

function withIpv6(fields: Writable, field: "address6" | "source6", part: string): void {
  const [text = "", length = "128"] = part.split("/");
  const words = wordsOf(text);
  const { upper = [0, 0, 0, 0, 0, 0] } = fields;
  if (field === "address6") {
    fields.address = words[3];
    fields.upper = [...words.slice(0, 3), ...upper.slice(3)];
  } else {
    [fields.toAddress, fields.toPort] = [words[3], Number(length)];
    fields.upper = [...upper.slice(0, 3), ...words.slice(0, 3)];
  }
}

function fieldsOf({ key, data }: FakeElement, set: number, layout: SetLayout): ElementFields | null {
  const fields: Writable = {
    set,
    address: 0,
    protocol: 0,
    firstPort: 0,
    lastPort: 0,
    toAddress: 0,
    toPort: 0,
    sourcePort: 0,
  };
  for (const [index, field] of layout.key.entries()) {
    const part = key[index] as Part;
    if (field === "address") fields.address = parseIpv4(part as string) ?? 0;
    else if (field === "address6" || field === "source6") withIpv6(fields, field, partText(part));
    else if (field === "source") {
      const [address = "", length] = partText(part).split("/");
      [fields.toAddress, fields.toPort] = [parseIpv4(address) ?? 0, Number(length)];
    } else if (field === "sourcePort") fields.sourcePort = Number(part);
    else if (field === "protocol") {
      if (NUMBERS[partText(part)] === undefined) return null;
      fields.protocol = NUMBERS[partText(part)] as number;
    } else
      [fields.firstPort, fields.lastPort] = Array.isArray(part)
        ? (part as [number, number])
        : [Number(part), Number(part)];
  }
  for (const [index, field] of layout.data.entries()) {
    const part = data?.[index] ?? 0;
    if (field === "address") fields.toAddress = parseIpv4(partText(part)) ?? 0;
    else if (field === "via") {
      fields.toPort = isVerdict(part) ? viaOfChain(part.goto) : 0;
      if (fields.toPort === 0) return null;
    } else fields.toPort = Number(part);
  }
  return fields;
}
