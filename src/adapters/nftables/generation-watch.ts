import { attributeText, attributeUint32 } from "./netlink-message.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

const NFNLGRP_NFTABLES = 7;
const NFT_SUBSYSTEM = 10;
const NFT_MSG_NEWGEN = 15;
const NFTA_GEN_ID = 1;
const NFTA_GEN_PROC_PID = 2;
const NFTA_GEN_PROC_NAME = 3;
/** Attribute 1 of every other notification of the nftables subsystem is the name of its table. */
const NFTA_TABLE = 1;

/** Node cannot wait for a netlink socket; asking one costs 2 µs. Only the wake-up depends on this, never the truth. */
const POLL_MS = 20;

interface Listener {
  readonly table: string;
  readonly call: (by: string) => void;
}

/** Where notifications come from: the kernel, or a test. */
export interface NotificationSource {
  receive: NetlinkSocket["receive"];
  close(): void;
}

/**
 * Who changed which of our tables. The kernel queues the notifications of a commit, closed by its generation and its
 * author, before the committing call returns: so what was drained is exact, in order and with nothing left out.
 */
export class GenerationWatch {
  readonly #source: NotificationSource;
  readonly #prefix: string;
  readonly #listeners = new Set<Listener>();
  /** Changes by others, by table. */
  readonly #changes = new Map<string, number>();
  #doubts = 0;
  #own: (thread: number, name: string) => boolean = () => false;
  #touched = new Set<string>();
  #generation: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(prefix: string, source: NotificationSource = new NetlinkSocket(NFNLGRP_NFTABLES)) {
    this.#prefix = prefix;
    this.#source = source;
  }

  /** Says which committers are ourselves; what was queued before is judged by what was said before. */
  setOwn(own: (thread: number, name: string) => boolean): void {
    this.#drain();
    this.#own = own;
  }

  /** Grows whenever someone else changed this table, or may have. */
  changes(table: string): number {
    this.#drain();
    return (this.#changes.get(table) ?? 0) + this.#doubts;
  }

  /** Nothing is certain any more: of any table. */
  doubt(by: string): void {
    this.#doubts += 1;
    for (const { call } of this.#listeners) call(by);
  }

  onChange(table: string, call: (by: string) => void): { close(): void } {
    const listener = { table, call };
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#drain(), POLL_MS).unref();
    return { close: () => void this.#listeners.delete(listener) };
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
    this.#source.close();
  }

  #drain(): void {
    const authors = new Map<string, string>();
    let doubt = false;
    for (;;) {
      const received = this.#source.receive((bytes, { type, start, end }) => {
        if (type >> 8 !== NFT_SUBSYSTEM) return;
        if ((type & 0xff) === NFT_MSG_NEWGEN) doubt = this.#endCommit(bytes, start, end, authors) || doubt;
        else this.#touch(attributeText(bytes, start, end, NFTA_TABLE));
      });
      if (received === "nothing") break;
      if (received === "overflow") doubt = true;
    }
    if (doubt) this.doubt("unknown");
    for (const { table, call } of this.#listeners) {
      const by = authors.get(table);
      if (by !== undefined) call(by);
    }
  }

  #touch(table: string | null): void {
    if (table?.startsWith(this.#prefix) === true) this.#touched.add(table);
  }

  /** Returns true when generations are missing, so that someone may have changed anything. */
  #endCommit(bytes: Buffer, start: number, end: number, authors: Map<string, string>): boolean {
    const generation = attributeUint32(bytes, start, end, NFTA_GEN_ID) ?? 0;
    const thread = attributeUint32(bytes, start, end, NFTA_GEN_PROC_PID) ?? 0;
    const name = attributeText(bytes, start, end, NFTA_GEN_PROC_NAME) ?? "unknown";
    const last = this.#generation;
    this.#generation = generation;
    if (!this.#own(thread, name)) {
      for (const table of this.#touched) {
        this.#changes.set(table, (this.#changes.get(table) ?? 0) + 1);
        authors.set(table, `${name} (${thread})`);
      }
    }
    this.#touched.clear();
    // The counter skips 0 when it wraps.
    return last !== null && generation !== last + 1 && generation !== 1;
  }
}
