import { readFile } from "node:fs/promises";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import { GUARD_TABLE, NEIGHBOURS_SET } from "./guard-skeleton.ts";

const ARP_TABLE = "/proc/net/arp";
/** A newcomer waits so long for its share, and only while strangers use up theirs. Reading costs some 0.1 ms. */
const LOOK_EVERY_MS = 1000;
/** The kernel keeps 1,024 neighbours unless told otherwise; those beyond ask as strangers. */
const PAIRS_MAX = 4096;

/** <linux/if_arp.h> */
const ARPHRD_ETHER = 0x1;
const ATF_COM = 0x2;

const ROW = /^(\d+(?:\.\d+){3})\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+([0-9a-f]{2}(?::[0-9a-f]{2}){5})\s+\S+\s+(\S+)$/;

/** `STATION . ADDRESS`, as nft writes an element, of each neighbour that ARP has resolved on these interfaces. */
export function neighbourPairs(arpTable: string, served: readonly string[]): Set<string> {
  const pairs = new Set<string>();
  for (const line of arpTable.split("\n")) {
    const [, address, hardware, flags, station, device] = ROW.exec(line) ?? [];
    if (device === undefined || !served.includes(device)) continue;
    if (Number(hardware) !== ARPHRD_ETHER || (Number(flags) & ATF_COM) === 0) continue;
    if (pairs.size < PAIRS_MAX) pairs.add(`${station} . ${address}`);
  }
  return pairs;
}

export interface GuardNeighboursOptions {
  /** One nft transaction. */
  readonly transact: (commands: string) => Promise<ReconcileError | null>;
  readonly served: () => readonly string[];
  /** Tests put a table of their own in. */
  readonly readArpTable?: () => Promise<string>;
}

/**
 * Tells the guard which station has which address, as ARP says: what answers are sent to. Observed and never desired,
 * so no row stands for it, and it is no drift: what cannot be written now is written a second later.
 */
export class GuardNeighbours {
  readonly #options: GuardNeighboursOptions;
  /** What the set holds; null: unknown, as after a start or when others wrote to the table. */
  #written: ReadonlySet<string> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: GuardNeighboursOptions) {
    this.#options = options;
  }

  /** Resolves once the guard knows those of now. */
  async start(): Promise<void> {
    await this.look();
    if (!this.#closed) this.#timer = setTimeout(() => void this.start(), LOOK_EVERY_MS);
  }

  /** The next look writes all of them. */
  forget(): void {
    this.#written = null;
  }

  async look(): Promise<void> {
    const { served, transact, readArpTable = () => readFile(ARP_TABLE, "utf8") } = this.#options;
    const interfaces = served();
    if (interfaces.length === 0) return this.forget();
    try {
      const pairs = neighbourPairs(await readArpTable(), interfaces);
      const commands = difference(this.#written, pairs);
      if (commands === "") return;
      // Before it is: what is forgotten meanwhile stays so.
      this.#written = pairs;
      if ((await transact(commands)) !== null) this.forget();
    } catch {
      this.forget();
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

function difference(before: ReadonlySet<string> | null, now: ReadonlySet<string>): string {
  const place = `inet ${GUARD_TABLE} ${NEIGHBOURS_SET}`;
  const command = (verb: "add" | "delete", pairs: readonly string[]): string =>
    pairs.length === 0 ? "" : `${verb} element ${place} { ${pairs.join(", ")} }\n`;
  if (before === null) return `flush set ${place}\n${command("add", [...now])}`;
  const gone = [...before].filter((pair) => !now.has(pair));
  const come = [...now].filter((pair) => !before.has(pair));
  return command("delete", gone) + command("add", come);
}
