import { afterEach, describe, expect, it } from "vitest";
import { createForwarder, type Forwarder } from "../../../../../src/adapters/dns-server/forwarder/forwarder.ts";
import { ManualClock } from "../../../../../src/lib/manual-clock.ts";
import { type Behaviour, LoopbackUpstream } from "./loopback-upstream.ts";
import { a, answerTo, query, told } from "./messages.ts";

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function upstreamThat(behaviour: Behaviour): Promise<LoopbackUpstream> {
  const upstream = await LoopbackUpstream.start(behaviour);
  open.push(upstream);
  return upstream;
}

function forwarderOf(...servers: string[]): { forwarder: Forwarder; clock: ManualClock } {
  const clock = new ManualClock();
  const forwarder = createForwarder({ clock, upstreams: "system", rebindingAllow: [], systemFiles: [] });
  open.push(forwarder);
  forwarder.configure({ views: [{ id: "v", upstreams: { mode: "custom", servers } }], listeners: [], prefixes: [] });
  return { forwarder, clock };
}

describe("smoke", () => {
  it("answers and caches", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("www.example.com", "93.184.216.34")] }));
    const { forwarder, clock } = forwarderOf(upstream.text);
    const first = told(await forwarder.resolve(query("www.example.com", "A"), "v", { transport: "udp" }));
    expect(first).toMatchObject({ id: 4711, rcode: 0, answers: ["www.example.com 300 A 93.184.216.34"], edns: true });
    clock.advance(10_500);
    const second = told(await forwarder.resolve(query("WWW.example.com", "A", { id: 7 }), "v", { transport: "udp" }));
    expect(second).toMatchObject({ id: 7, question: "WWW.example.com", answers: ["www.example.com 290 A 93.184.216.34"] });
    expect(upstream.queries).toHaveLength(1);
    const started = performance.now();
    const again = query("www.example.com", "A");
    const n = 300_000;
    for (let i = 0; i < n; i += 1) await forwarder.resolve(again, "v", { transport: "udp" });
    console.log(Math.round(n / ((performance.now() - started) / 1000)), "answers/s");
  });
});
