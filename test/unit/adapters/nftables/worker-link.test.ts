import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CallMessage, ReplyMessage } from "../../../../src/adapters/nftables/messages.ts";
import { WorkerLink, type NftThread } from "../../../../src/adapters/nftables/worker-link.ts";

class FakeThread extends EventEmitter implements NftThread {
  readonly received: (CallMessage | "close")[] = [];
  terminated = false;
  #running: CallMessage | null = null;

  /** Messages are taken in order: a close waits for the call before it. */
  postMessage(message: CallMessage | "close"): void {
    this.received.push(message);
    if (message !== "close") this.#running = message;
    else if (this.#running === null) this.emit("exit", 0);
  }
  reply(reply: Partial<ReplyMessage> = {}): void {
    const id = this.#running?.id;
    this.#running = null;
    this.emit("message", { id, ok: true, reply: null, ...reply });
    if (this.received.at(-1) === "close") this.emit("exit", 0);
  }
  terminate(): Promise<number> {
    this.terminated = true;
    return Promise.resolve(1);
  }
}

describe("WorkerLink", () => {
  let threads: FakeThread[];
  let lost: string[];
  let link: WorkerLink;
  const thread = (): FakeThread => threads.at(-1) as FakeThread;
  const call = (): Promise<unknown> => link.call("tables", {}, 1000);

  beforeEach(() => {
    vi.useFakeTimers();
    [threads, lost] = [[], []];
    link = new WorkerLink(
      (reason) => lost.push(reason),
      () => {
        threads.push(new FakeThread());
        return thread();
      },
    );
  });
  afterEach(() => vi.useRealTimers());

  it("sends one call at a time, in order, and starts no thread before the first", async () => {
    expect(threads).toHaveLength(0);
    const [first, second] = [call(), call()];
    expect(thread().received).toHaveLength(1);
    thread().reply({ reply: ["one"] });
    expect(await first).toEqual(["one"]);
    expect(thread().received).toHaveLength(2);
    thread().reply();
    expect(await second).toBeNull();
  });

  it("rejects with the code and disposition the thread gives", async () => {
    const pending = call();
    thread().reply({
      ok: false,
      code: "FOREIGN_INSTANCE",
      message: "another's",
      transient: false,
    });
    await expect(pending).rejects.toMatchObject({ code: "FOREIGN_INSTANCE", disposition: "terminal" });
  });

  it("fails the running call of a thread that dies, says so first, and runs the next ones on a new thread", async () => {
    const [first, second] = [call(), call()];
    const failure = expect(first).rejects.toMatchObject({ code: "UNAVAILABLE", disposition: "transient" });
    thread().emit("exit", 1);
    expect(lost).toEqual(["the nftables thread ended with 1"]);
    await failure;
    expect(threads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(50);
    expect(threads).toHaveLength(2);
    thread().reply();
    await second;
  });

  it("gives up a thread that does not answer in time, and hears nothing more of it", async () => {
    const pending = call();
    const failure = expect(pending).rejects.toMatchObject({ disposition: "transient" });
    const hung = thread();
    await vi.advanceTimersByTimeAsync(1000);
    await failure;
    expect(hung.terminated).toBe(true);
    const next = call();
    await vi.advanceTimersByTimeAsync(50);
    hung.emit("exit", 1);
    hung.reply();
    expect(lost).toHaveLength(1);
    thread().reply({ reply: ["new"] });
    expect(await next).toEqual(["new"]);
  });

  it("waits longer before each new thread while they keep dying, and not after one that lived", async () => {
    const delays: number[] = [];
    const die = async (): Promise<void> => {
      const pending = call();
      const failure = expect(pending).rejects.toThrow();
      const before = threads.length;
      let waited = 0;
      while (threads.length === before && waited < 20_000) {
        if (before > 0 || waited > 0) await vi.advanceTimersByTimeAsync(10);
        waited += 10;
        if (threads.length === 0) break;
      }
      delays.push(waited);
      thread().emit("error", new Error("died"));
      await failure;
    };
    const first = call();
    const failed = expect(first).rejects.toThrow();
    thread().emit("error", new Error("died"));
    await failed;
    for (let round = 0; round < 10; round += 1) await die();
    expect(delays.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(Math.max(...delays)).toBe(5000);

    const pending = call();
    await vi.advanceTimersByTimeAsync(5000);
    thread().reply();
    await pending;
    vi.setSystemTime(Date.now() - 86_400_000); // the wall clock is corrected meanwhile: F16
    await vi.advanceTimersByTimeAsync(61_000);
    thread().emit("exit", 1);
    const count = threads.length;
    const after = call();
    await vi.advanceTimersByTimeAsync(50);
    expect(threads).toHaveLength(count + 1);
    thread().reply();
    await after;
  });

  it("[F20] closes although the thread hangs, and fails the call that it hangs in", async () => {
    const failure = expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const closing = link.close();
    await vi.advanceTimersByTimeAsync(1000);
    await Promise.all([failure, closing]);
    expect(thread().terminated).toBe(true);
    expect([threads.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("closes the thread and refuses what was waiting", async () => {
    const first = call();
    const waiting = expect(call()).rejects.toThrow(/closed/);
    const closing = link.close();
    thread().reply();
    await Promise.all([first, waiting, closing]);
    expect(thread().received.at(-1)).toBe("close");
    await expect(call()).rejects.toThrow(/closed/);
    expect(lost).toEqual([]);
  });
});
