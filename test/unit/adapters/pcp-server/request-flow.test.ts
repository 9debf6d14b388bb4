import { expect, it } from "vitest";
import { mapped } from "./fake-controller.ts";
import { CLIENT, Fixture, LAN0 } from "./fixture.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** NAT-PMP (RFC 6886 §3.3): UDP `port` for an hour. */
function mapPort(port: number): Uint8Array {
  return Uint8Array.of(0, 1, 0, 0, port >> 8, port & 255, 0, 0, 0, 0, 14, 16);
}

async function flooded(): Promise<Fixture> {
  const fixture = new Fixture();
  await fixture.server.serve([LAN0]);
  // Below the limit of fifty a second each.
  for (let port = 2000; port < 2040; port += 1) {
    for (let host = 100; host < 120; host += 1) {
      fixture.sockets.at(LAN0.address).arrive(mapPort(port), { address: `192.168.77.${host}`, port: 40_000 });
    }
  }
  return fixture;
}

it("a device waits for one request of each that floods, not for all of theirs", async () => {
  const fixture = await flooded();
  fixture.sockets.at(LAN0.address).arrive(mapPort(9000), CLIENT);
  const { controller } = fixture;
  const isAsked = (): boolean => controller.submitted.some(({ source }) => source === `natpmp:${CLIENT.address}`);
  let answered = 0;
  for (; !isAsked() && answered < 800; answered += 1) {
    await turn();
    await turn();
    if (isAsked()) break;
    controller.decideNext(mapped(true));
    await fixture.rest();
  }
  // The 256 that were under way before it came are not waited for: each that ends lets the next in turn in.
  expect(answered).toBeLessThanOrEqual(21);
});

it("reads what has come before more of it is decided, and hands on no more than a commit group", async () => {
  const fixture = await flooded();
  await turn();
  await turn();
  expect(fixture.controller.submitted.length).toBeLessThanOrEqual(256);
  await fixture.advance(1000);
  const dropped = fixture.requestLog.list().filter(({ decision }) => decision === "dropped");
  expect(dropped[0]?.message).toBe("too many requests are under way");
});

it("a repetition of what is under way needs no place", async () => {
  const fixture = await flooded();
  await turn();
  await turn();
  const before = fixture.controller.submitted.length;
  fixture.sockets.at(LAN0.address).arrive(mapPort(2000), { address: "192.168.77.100", port: 40_001 });
  fixture.controller.decideNext(mapped(true));
  await fixture.rest();
  expect(fixture.sentTo("192.168.77.100:40001")).toHaveLength(1);
  expect(fixture.controller.submitted.length).toBe(before + 1);
});

it("a device is heard while one station, held to a device's rate by the guard, borrows its address", async () => {
  const fixture = new Fixture();
  await fixture.server.serve([LAN0]);
  const socket = fixture.sockets.at(LAN0.address);
  const announce = Uint8Array.of(0, 0);
  for (let second = 0; second < 5; second += 1) {
    for (let count = 0; count < 50; count += 1) socket.arrive(announce, { address: CLIENT.address, port: 40_000 });
    for (let count = 0; count < 50; count += 1) socket.arrive(announce, CLIENT);
    await fixture.advance(1000);
  }
  expect(fixture.sentTo(`${CLIENT.address}:${CLIENT.port}`)).toHaveLength(250);
});
