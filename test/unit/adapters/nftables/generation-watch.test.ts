import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GenerationWatch, type NotificationSource } from "../../../../src/adapters/nftables/generation-watch.ts";
import {
  attribute,
  eachMessage,
  message,
  stringAttribute,
  uint32,
} from "../../../../src/adapters/nftables/netlink-message.ts";

const NEWGEN = (10 << 8) | 15;
const NEWSETELEM = (10 << 8) | 12;
const OURS = 77;

/** Datagrams as the kernel queues them. */
class Queue implements NotificationSource {
  readonly datagrams: (Buffer | "overflow")[] = [];
  #generation = 100;

  /** What one commit notifies: what it touched, then its generation and author. */
  commit(author: readonly [pid: number, name: string], ...tables: string[]): void {
    this.#generation += 1;
    const touched = tables.map((table) => message(NEWSETELEM, 0, 1, [stringAttribute(1, table)]));
    if (touched.length > 0) this.datagrams.push(Buffer.concat(touched));
    const [pid, name] = author;
    const attributes = [attribute(1, uint32(this.#generation)), attribute(2, uint32(pid)), stringAttribute(3, name)];
    this.datagrams.push(message(NEWGEN, 0, 0, attributes));
  }

  receive: NotificationSource["receive"] = (visit) => {
    const next = this.datagrams.shift();
    if (next === undefined) return "nothing";
    if (next === "overflow") return "overflow";
    eachMessage(next, next.length, (view) => visit(next, view));
    return "message";
  };
  close(): void {}
}

describe("GenerationWatch", () => {
  let queue: Queue;
  let watch: GenerationWatch;
  let heard: string[];

  beforeEach(() => {
    vi.useFakeTimers();
    queue = new Queue();
    watch = new GenerationWatch("portreeve", queue);
    watch.setOwn((pid) => pid === OURS);
    heard = [];
    watch.onChange("portreeve", (by) => heard.push(by));
  });
  afterEach(() => {
    watch.close();
    vi.useRealTimers();
  });

  it("counts what others change in a table, and nothing else", () => {
    const before = watch.changes("portreeve");
    queue.commit([OURS, "node"], "portreeve");
    queue.commit([5, "nft"], "somebody", "else");
    queue.commit([5, "nft"]);
    queue.commit([5, "nft"], "portreeve_guard");
    expect(watch.changes("portreeve")).toBe(before);
    expect(watch.changes("portreeve_guard")).toBeGreaterThan(0);
    queue.commit([5, "nft"], "x", "portreeve");
    expect(watch.changes("portreeve")).toBe(before + 1);
  });

  it("does not take a change of ours for the author's of the next commit", () => {
    queue.commit([OURS, "node"], "portreeve");
    queue.commit([5, "nft"], "x");
    queue.commit([OURS, "node"], "portreeve");
    expect(watch.changes("portreeve")).toBe(0);
    expect(heard).toEqual([]);
  });

  it("calls back with the author by itself within moments", () => {
    queue.commit([5, "nft"], "portreeve");
    vi.advanceTimersByTime(25);
    expect(heard).toEqual(["nft (5)"]);
    vi.advanceTimersByTime(100);
    expect(heard).toHaveLength(1);
  });

  it("holds nothing for certain after a lost notification, a gap in the generations or a doubt", () => {
    queue.commit([OURS, "node"], "portreeve");
    let last = watch.changes("portreeve");
    const grows = (): void => {
      expect(watch.changes("portreeve")).toBeGreaterThan(last);
      last = watch.changes("portreeve");
    };
    queue.datagrams.push("overflow");
    grows();
    queue.commit([OURS, "node"], "portreeve");
    queue.datagrams.length = 0;
    queue.commit([OURS, "node"], "portreeve");
    grows();
    watch.doubt("the thread ended");
    grows();
    expect(heard).toEqual(["unknown", "unknown", "the thread ended"]);
  });

  it("judges what was queued before a change of thread by the thread of then", () => {
    queue.commit([OURS, "node"], "portreeve");
    watch.setOwn((pid) => pid === 78);
    expect(watch.changes("portreeve")).toBe(0);
    queue.commit([OURS, "node"], "portreeve");
    expect(watch.changes("portreeve")).toBe(1);
  });
});
