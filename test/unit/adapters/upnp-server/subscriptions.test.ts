import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { EventedValues } from "../../../../src/adapters/upnp-server/evented.ts";
import { type Callback, callbackOf, postEvent } from "../../../../src/adapters/upnp-server/event-post.ts";
import { Subscriptions } from "../../../../src/adapters/upnp-server/subscriptions.ts";
import { decodePropertySet } from "../../../../src/protocols/upnp/gena.ts";
import { bytes, CALLER, entry, IDENTITY, Rig } from "./fixture.ts";

const AT = "192.168.77.1";
const CALLBACK: Callback = { address: CALLER.device, port: 5000, path: "/" };

it("GENA-06 SEC-03 a callback leads to who asks for it, by address, and to no well-known port", () => {
  const mine = CALLER.device;
  expect(callbackOf(`http://${mine}:5000/a?b=c`, mine)).toEqual({ address: mine, port: 5000, path: "/a?b=c" });
  expect(callbackOf(`http://${mine}:5000`, mine)).toEqual({ ...CALLBACK });
  const refused = [
    "http://192.168.77.3:5000/",
    "http://192.168.77.1:5000/",
    "http://127.0.0.1:5000/",
    "http://11.22.33.2:5000/",
    "http://example.com:5000/",
    `https://${mine}:5000/`,
    `http://${mine}/`,
    `http://${mine}:80/`,
    `http://${mine}:65536/`,
    `http://${mine}:5000@11.22.33.2:5000/`,
    `http://user@${mine}:5000/`,
    `http://${mine}:5000/\r\nX: y`,
    `http://${mine}:5000/ HTTP/1.1`,
    `http://${mine}:5000/${"x".repeat(300)}`,
    "http://3232255234:5000/",
    "file:///etc/passwd",
    "",
  ];
  for (const text of refused) expect(callbackOf(text, mine), text).toBeNull();
});

interface Posted {
  readonly seq: number;
  readonly values: Readonly<Record<string, string>>;
}

/** Everything settles within some turns of the event loop. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function start(taken: () => Promise<boolean> = () => Promise.resolve(true)) {
  const rig = new Rig();
  const posted: Posted[] = [];
  const values = new EventedValues(rig.gateway, IDENTITY);
  const subscriptions = new Subscriptions({
    clock: rig.clock,
    valuesOf: (...about) => values.of(...about),
    post: (from, callback, { seq, body }) => {
      expect([from, callback]).toEqual([AT, CALLBACK]);
      posted.push({ seq, values: decodePropertySet(bytes(body)) });
      return taken();
    },
  });
  const change = async (): Promise<void> => {
    subscriptions.changed();
    rig.clock.advance(200);
    await settle();
  };
  return { rig, posted, subscriptions, change };
}

it("GENA-03 the first event has all variables, the next those that changed", async () => {
  const { rig, posted, subscriptions, change } = start();
  const subscribed = subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, 300);
  await settle();
  expect(posted).toEqual([]);
  subscribed?.begin();
  await settle();
  const first = {
    PossibleConnectionTypes: "IP_Routed",
    ConnectionStatus: "Connected",
    ExternalIPAddress: "11.22.33.1",
    PortMappingNumberOfEntries: "0",
    SystemUpdateID: String(rig.controller.state.seq),
  };
  expect(posted).toEqual([{ seq: 0, values: first }]);
  await change();
  expect(posted.length, "nothing changed").toBe(1);
  rig.entries = [entry()];
  await change();
  const id = rig.controller.state.seq + 1;
  expect(posted[1]).toEqual({ seq: 1, values: { PortMappingNumberOfEntries: "1", SystemUpdateID: String(id) } });
  rig.entries = [entry({ leaseSeconds: 3 })];
  await change();
  expect(posted.length, "what is left of a lease is no change").toBe(2);
  rig.entries = [entry({ enabled: false })];
  await change();
  expect(posted[2]).toEqual({ seq: 2, values: { SystemUpdateID: String(id + 1) } });
});

it("IGD-14 many changes at once are one event, and what changes on its way is the next", async () => {
  const answers: ((taken: boolean) => void)[] = [];
  const { rig, posted, subscriptions, change } = start(() => new Promise((resolve) => answers.push(resolve)));
  subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, 300)?.begin();
  await settle();
  rig.entries = [entry()];
  await change();
  rig.entries = [entry(), entry({ protocol: "UDP" })];
  await change();
  expect(posted.length).toBe(1);
  answers.shift()?.(true);
  await settle();
  rig.clock.advance(200);
  await settle();
  expect(posted.length).toBe(2);
  expect(posted[1]?.values).toMatchObject({ PortMappingNumberOfEntries: "2" });
});

it("GENA-01 GENA-02 GENA-05 grants, renews, forgets", async () => {
  const { rig, posted, subscriptions, change } = start();
  const subscribe = (seconds: number | null) =>
    subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, seconds);
  expect([null, 1, 600, 86_400].map((seconds) => subscribe(seconds)?.seconds)).toEqual([1800, 300, 600, 1800]);
  expect(subscriptions.size, "the same place again replaces the old one").toBe(1);
  const { sid = "", begin } = subscribe(300) ?? {};
  begin?.();
  await settle();
  expect(subscriptions.renew("WANIPConnection", { ...CALLER, device: "192.168.77.3" }, sid, 600)).toBeNull();
  expect(subscriptions.renew("Layer3Forwarding", CALLER, sid, 600)).toBeNull();
  rig.clock.advance(299_000);
  expect(subscriptions.renew("WANIPConnection", CALLER, sid, 300)).toBe(300);
  rig.clock.advance(299_000);
  rig.entries = [entry()];
  await change();
  expect(posted.length).toBe(2);
  rig.clock.advance(1000);
  expect(subscriptions.renew("WANIPConnection", CALLER, sid, 300), "it ended").toBeNull();
  const again = subscribe(300)?.sid ?? "";
  expect(subscriptions.unsubscribe("WANIPConnection", { ...CALLER, interface: "lan1" }, again)).toBe(false);
  expect(subscriptions.unsubscribe("WANIPConnection", CALLER, again)).toBe(true);
  expect(subscriptions.unsubscribe("WANIPConnection", CALLER, again)).toBe(false);
});

it("GENA-04 a subscriber that takes nothing loses events, is told less and less often, and stays until its time is over", async () => {
  let taken = false;
  const { rig, posted, subscriptions, change } = start(() => Promise.resolve(taken));
  subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, 300)?.begin();
  await settle();
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 200) {
      rig.entries = [...rig.entries, entry()];
      await change();
    }
  };
  await pass(60_000);
  expect([subscriptions.size, posted.length]).toEqual([1, 6]);
  expect(
    posted.map(({ seq }) => seq),
    "a gap says that something was lost",
  ).toEqual([0, 1, 2, 3, 4, 5]);
  taken = true;
  rig.clock.advance(60_000);
  await settle();
  await change();
  expect(posted.at(-1)?.values["PortMappingNumberOfEntries"]).toBe(String(rig.entries.length));
  const told = posted.length;
  await pass(1000);
  expect(posted.length - told, "as often as everybody").toBe(5);
  rig.clock.advance(300_000);
  await change();
  expect(subscriptions.size).toBe(0);
});

it("GENA-04 101 and 100 for ever are no answer, and take no longer than silence", async () => {
  const answer = async (said: string, again: boolean): Promise<boolean> => {
    const server = createServer((socket) => {
      const timer = again ? setInterval(() => socket.write(said), 50) : null;
      socket.on("error", () => undefined).on("close", () => timer !== null && clearInterval(timer));
      socket.once("data", () => socket.write(said));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const callback = { address: "127.0.0.1", port, path: "/" };
    const never = new AbortController().signal;
    const taken = await postEvent("127.0.0.1", callback, { sid: "uuid:1", seq: 0, body: "" }, never);
    server.close();
    return taken;
  };
  const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
  expect(await Promise.all([answer(upgrade, false), answer("HTTP/1.1 100 Continue\r\n\r\n", true)])).toEqual([
    false,
    false,
  ]);
  expect(await answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)).toBe(true);
}, 15_000);

it("SEC-03 SEC-10 of 10,000 subscriptions eight of a device and 256 of all stay", () => {
  const { subscriptions } = start();
  let granted = 0;
  for (let each = 0; each < 10_000; each += 1) {
    const callback = { ...CALLBACK, port: 1024 + each };
    if (subscriptions.subscribe("WANIPConnection", CALLER, AT, callback, 300) !== null) granted += 1;
  }
  expect(granted).toBe(8);
  for (let each = 3; each < 34; each += 1) {
    const caller = { ...CALLER, device: `192.168.77.${each}` };
    for (let port = 1024; port < 1032; port += 1)
      subscriptions.subscribe("WANIPConnection", caller, AT, { address: caller.device, port, path: "/" }, 300);
  }
  expect(subscriptions.size).toBe(256);
  const ofOthers = (device: string, port: number) =>
    subscriptions.subscribe("WANIPConnection", { ...CALLER, device }, AT, { address: device, port, path: "/" }, 300);
  const counts = (): number[] => {
    const by = new Map<string, number>();
    for (const { device } of subscriptions.callers) by.set(device, (by.get(device) ?? 0) + 1);
    return [...by.values()];
  };
  for (let each = 100; each < 140; each += 1) expect(ofOthers(`192.168.77.${each}`, 1024), `${each}`).not.toBeNull();
  expect(subscriptions.size, "who had most made room").toBe(256);
  expect(Math.max(...counts())).toBe(7);
  expect(counts().length).toBe(72);
  for (let each = 0; each < 5; each += 1) expect(ofOthers("192.168.77.100", 2000 + each)).not.toBeNull();
  expect(ofOthers("192.168.77.100", 3000), "not to have as many as they").toBeNull();
  subscriptions.left(AT);
  expect(subscriptions.size).toBe(0);
});

it("SEC-10 256 hosts of one network with a subscription each leave half of the places to another network", () => {
  const { subscriptions } = start();
  const ask = (served: string, device: string, port = 1024) =>
    subscriptions.subscribe(
      "WANIPConnection",
      { ...CALLER, interface: served, device },
      AT,
      { address: device, port, path: "/" },
      300,
    );
  for (let each = 0; each < 256; each += 1) expect(ask("lan0", `10.0.${each}.2`)).not.toBeNull();
  expect(ask("lan0", "10.1.0.2"), "of its own it is one too many").toBeNull();
  for (let each = 0; each < 16; each += 1) {
    for (let port = 1024; port < 1032; port += 1) expect(ask("lan1", `192.168.${each}.2`, port)).not.toBeNull();
  }
  expect(subscriptions.callers.filter((caller) => caller.interface === "lan1")).toHaveLength(128);
  expect(ask("lan0", "10.1.0.2"), "nor does it take from the other").toBeNull();
  expect(ask("lan1", "192.168.99.2"), "who has most there makes room").not.toBeNull();
  expect(subscriptions.size).toBe(256);
  expect(subscriptions.callers.filter((caller) => caller.interface === "lan0")).toHaveLength(128);
});

it("SEC-10 whoever asks for the same again and again, and takes nothing, has one event on its way", async () => {
  const onTheirWay = new Set<AbortSignal>();
  const rig = new Rig();
  const subscriptions = new Subscriptions({
    clock: rig.clock,
    valuesOf: () => Promise.resolve({ FirewallEnabled: "1" }),
    post: (_from, _callback, _message, until) =>
      new Promise((resolve) => {
        onTheirWay.add(until);
        until.addEventListener("abort", () => resolve(!onTheirWay.delete(until)));
      }),
  });
  let last = "";
  for (let each = 0; each < 250; each += 1) {
    const subscribed = subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, 300);
    last = subscribed?.sid ?? "";
    subscribed?.begin();
    await settle();
  }
  expect([subscriptions.size, onTheirWay.size]).toEqual([1, 1]);
  expect(subscriptions.unsubscribe("WANIPConnection", CALLER, last)).toBe(true);
  expect(onTheirWay.size).toBe(0);
  subscriptions.subscribe("WANIPConnection", CALLER, AT, CALLBACK, 300)?.begin();
  await settle();
  subscriptions.left(AT);
  expect(onTheirWay.size).toBe(0);
});

it("an event that was begun is given up with its subscription", async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ended = new Promise<void>((resolve) =>
    server.on("connection", (socket) =>
      socket
        .resume()
        .on("error", () => undefined)
        .on("close", resolve),
    ),
  );
  const end = new AbortController();
  const callback = { address: "127.0.0.1", port, path: "/" };
  const taken = postEvent("127.0.0.1", callback, { sid: "uuid:1", seq: 0, body: "" }, end.signal);
  server.once("connection", () => end.abort());
  expect(await taken).toBe(false);
  await ended;
  server.close();
});
