import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { forwardingTo, upstreamThat } from "./forwarding.ts";
import { a, answerTo, soa } from "./messages.ts";

const WWW = a("www.example.com", "93.184.216.34");
const ANSWER = { rcode: 0, answers: ["www.example.com 300 A 93.184.216.34"] };

/** Where nobody listens. */
async function deadAddress(): Promise<string> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return `127.0.0.1:${port}`;
}

describe("several upstreams", () => {
  it("[F16] where one is not there, the next one is asked at once", async () => {
    const good = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    const { ask } = forwardingTo([await deadAddress(), good.text]);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
  });

  it("[F16] where there is no way to one, the next one is asked at once, and if there is none the client hears so", async () => {
    // To these the kernel connects no such socket, as where no route leads: of broadcast, and of a link without saying which.
    const unreachable = ["255.255.255.255:53", "[fe80::1]:53"];
    const good = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    expect(await forwardingTo([...unreachable, good.text]).ask("www.example.com")).toMatchObject(ANSWER);
    const { ask, passing } = forwardingTo(unreachable);
    expect((await passing(ask("www.example.com"))).rcode).toBe(2);
  });

  it("[F16] where one is silent, the next one is asked after half a second, and first from then on", async () => {
    const silent = await upstreamThat(() => null);
    const good = await upstreamThat((bytes) => answerTo(bytes, { rcode: 3 }));
    const { ask, clock, forwarder } = forwardingTo([silent.text, good.text]);
    for (const [index, name] of ["www.example.com", "two.example.com"].entries()) {
      const asked = ask(name);
      await silent.asked(index + 1);
      clock.advance(500);
      expect((await asked).rcode).toBe(3);
    }
    expect(silent.queries.length).toBe(2);
    // Known to be down, it is left alone for a while, then tried by one query.
    await ask("three.example.com");
    await ask("four.example.com");
    expect(silent.queries.length).toBe(2);
    expect(forwarder.status.upstreams.map(({ state }) => state)).toEqual(["down", "up"]);
    clock.advance(2000);
    const asked = ask("five.example.com");
    await silent.asked(3);
    clock.advance(500);
    await asked;
  });

  it("[F16] one that is slow may still answer while the next is asked", async () => {
    let answerLate: (() => void) | null = null;
    const slow = await upstreamThat((bytes, { port }) => {
      answerLate = () => slow.udp.send(answerTo(bytes, { answers: [WWW] }), port, "127.0.0.1");
      return null;
    });
    const silent = await upstreamThat(() => {
      answerLate?.();
      return null;
    });
    const { ask, clock, resolutions } = forwardingTo([slow.text, silent.text]);
    const asked = ask("www.example.com");
    await slow.asked(1);
    clock.advance(500);
    expect(await asked).toMatchObject(ANSWER);
    expect(resolutions).toMatchObject([{ kind: "forwarded", upstream: slow.text }]);
  });

  it.each([
    ["SERVFAIL", { rcode: 2 }],
    ["REFUSED", { rcode: 5 }],
    [
      "a referral",
      { recursion: false, authorities: [{ type: "NS", name: "com", data: "a.gtld-servers.net" } as const] },
    ],
  ])("[F16] who answers %s is not asked again, the next one is", async (_, said) => {
    const bad = await upstreamThat((bytes) => answerTo(bytes, said));
    const good = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    const { ask } = forwardingTo([bad.text, good.text]);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
    expect(bad.queries).toHaveLength(1);
  });

  it("an authoritative server that does not recurse is fine for what it has", async () => {
    const server = await upstreamThat((bytes) =>
      answerTo(bytes, { recursion: false, flags: 0x0400, rcode: 3, authorities: [soa("corp.example")] }),
    );
    const { ask } = forwardingTo([`[/corp.example/]${server.text}`, "127.0.0.1:1"]);
    expect(await ask("none.corp.example")).toMatchObject({ rcode: 3 });
  });

  it("[F16] a datagram that is lost is sent again", async () => {
    const lossy = await upstreamThat((bytes) =>
      lossy.queries.length === 1 ? null : answerTo(bytes, { answers: [WWW] }),
    );
    const { ask, clock } = forwardingTo([lossy.text]);
    const asked = ask("www.example.com");
    await lossy.asked(1);
    clock.advance(500);
    expect(await asked).toMatchObject(ANSWER);
    expect(lossy.queries).toHaveLength(2);
  });

  it("[F16] where all are silent the client hears so within 5 s; few queries were sent, and none for 5 s", async () => {
    const one = await upstreamThat(() => null);
    const two = await upstreamThat(() => null);
    const { ask, clock, passing, resolutions } = forwardingTo([one.text, two.text]);
    const before = clock.now();
    const told = await passing(ask("www.example.com"));
    expect(told).toMatchObject({ rcode: 2, errors: [{ code: 22, text: expect.stringContaining("no answer") }] });
    expect(clock.now() - before).toBeLessThan(5000);
    const sent = one.queries.length + two.queries.length;
    expect(sent).toBeLessThanOrEqual(6);
    expect(await ask("www.example.com")).toMatchObject({ rcode: 2, errors: [{ code: 13 }] });
    expect(resolutions.at(-1)).toMatchObject({ kind: "failed", remembered: true });
    expect(one.queries.length + two.queries.length).toBe(sent);
    clock.advance(5000);
    await passing(ask("www.example.com"));
    expect(one.queries.length + two.queries.length).toBeGreaterThan(sent);
  });

  it("without any upstream the client hears so", async () => {
    const { ask } = forwardingTo(["system"]);
    expect(await ask("www.example.com")).toMatchObject({
      rcode: 2,
      errors: [{ code: 23, text: "no upstream is known" }],
    });
  });
});

describe("[F25] loops", () => {
  it("an upstream that is one of our own listeners is not asked, and that is said once", async () => {
    const good = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    const ours = await upstreamThat(() => null);
    const setup = {
      views: [{ id: "v", upstreams: { mode: "custom", servers: [ours.text, good.text] } }],
      listeners: [{ address: "127.0.0.1", port: ours.port }],
      prefixes: [],
    } as const;
    const { ask, logged, forwarder } = forwardingTo([], { setup });
    forwarder.configure({ ...setup });
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
    expect(ours.queries).toEqual([]);
    expect(logged).toEqual([expect.stringContaining(`upstream ${ours.text} is this resolver itself`)]);
  });

  it("our own query that comes back is refused; another client's with the same question waits", async () => {
    const back: Promise<Uint8Array>[] = [];
    const upstream = await upstreamThat((bytes) => {
      back.push(Promise.resolve(forwarder.resolve(bytes, "v", { transport: "udp" })));
      return null;
    });
    const { ask, forwarder, passing, logged } = forwardingTo([upstream.text]);
    const asked = ask("www.example.com");
    await upstream.asked(1);
    expect(((await back[0])?.[3] ?? 0) & 0xf).toBe(5);
    expect(logged).toEqual([expect.stringContaining("sends our own queries back to us")]);
    expect(await passing(asked)).toMatchObject({ rcode: 2 });
  });
});

describe("the machine's own resolvers", () => {
  it("are read, and read again when the file changes; systemd-resolved's list goes first", async () => {
    const folder = await mkdtemp(join(tmpdir(), "portreeve-test-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const files = [join(folder, "resolved.conf"), join(folder, "resolv.conf")];
    await writeFile(files[1] as string, "nameserver 127.0.0.53\nnameserver 198.51.100.1\n");
    const { forwarder, clock } = forwardingTo(["system"], { systemFiles: files });
    const servers = (): string[] => forwarder.status.upstreams.map(({ upstream }) => upstream);
    await expect.poll(servers).toEqual(["198.51.100.1"]);
    await writeFile(files[0] as string, "nameserver 198.51.100.2\nnameserver 2001:db8::2\n");
    await expect.poll(() => (clock.advance(2000), servers())).toEqual(["198.51.100.2", "2001:db8::2"]);
    await rm(files[0] as string);
    await expect.poll(() => (clock.advance(2000), servers())).toEqual(["198.51.100.1"]);
  });
});
