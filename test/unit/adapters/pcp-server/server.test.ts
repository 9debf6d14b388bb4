import { describe, expect, it } from "vitest";
import { flat, hex, patch, toHex } from "../../protocols/hex.ts";
import { ADDRESS_REQUEST, MAP_TCP } from "../../protocols/natpmp/vectors.ts";
import { ANNOUNCE_REQUEST, MAP_DELETE, MAP_REQUEST, MAP_SUCCESS } from "../../protocols/pcp/vectors.ts";
import { DONE, refusal } from "./exchanges.ts";
import { mapped } from "./fake-controller.ts";
import { CLIENT, Fixture, LAN0, LAN1 } from "./fixture.ts";

/** The fixture's epoch is 1,100 s old. */
const SUCCESS = toHex(patch(MAP_SUCCESS, 8, "0000044c"));

async function serving(): Promise<Fixture> {
  const fixture = new Fixture();
  await fixture.server.serve([LAN0, LAN1]);
  return fixture;
}

function arrive(fixture: Fixture, bytes: Uint8Array, source = CLIENT): void {
  fixture.sockets.at(LAN0.address).arrive(bytes, source);
}

const toClient = (fixture: Fixture, port = CLIENT.port): string[] => fixture.sentTo(`${CLIENT.address}:${port}`);

describe("PCP server: requests", () => {
  it("is silent until the controller has settled, then answers from the address asked, to the port it came from", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST);
    await fixture.rest();
    expect(toClient(fixture)).toEqual([]);
    fixture.controller.decideNext(mapped(true));
    await fixture.rest();
    expect(toClient(fixture)).toEqual([SUCCESS]);
    expect(fixture.sentTo(`${CLIENT.address}:${CLIENT.port}`, LAN1.address)).toEqual([]);
  });

  it("names the device as the source and makes a request id for each datagram", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST);
    arrive(fixture, MAP_TCP);
    const [pcp, natpmp] = fixture.controller.submitted;
    expect(pcp?.source).toBe("pcp:192.168.77.2");
    expect(natpmp?.source).toBe("natpmp:192.168.77.2");
    expect(pcp?.requestId).not.toBe(natpmp?.requestId);
  });

  it("lets a retransmission join the request under way, and answers both", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST);
    arrive(fixture, MAP_REQUEST);
    arrive(fixture, MAP_REQUEST, { ...CLIENT, port: 50_001 });
    expect(fixture.controller.submitted).toHaveLength(1);
    fixture.controller.decideNext(mapped(true));
    await fixture.rest();
    expect(toClient(fixture)).toEqual([SUCCESS, SUCCESS]);
    expect(toClient(fixture, 50_001)).toEqual([SUCCESS]);
    expect(fixture.requestLog.list().map(({ request }) => request)).toEqual([
      "MAP tcp 8080 → 8080 for 3600 s (repeated while under way)",
      "MAP tcp 8080 → 8080 for 3600 s (repeated while under way)",
      "MAP tcp 8080 → 8080 for 3600 s",
    ]);
  });

  it("decides anew what differs, and what comes after the answer", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST);
    arrive(fixture, MAP_DELETE);
    arrive(fixture, patch(MAP_REQUEST, 24, "ff"));
    arrive(fixture, MAP_REQUEST, { ...CLIENT, address: "192.168.77.2", port: 50_001 });
    expect(fixture.controller.submitted.map(({ type }) => type)).toEqual(["map", "unmap", "map"]);
    fixture.controller.decideNext(mapped(true));
    await fixture.rest();
    arrive(fixture, MAP_REQUEST);
    expect(fixture.controller.submitted).toHaveLength(4);
  });

  it("tells the epoch of the served interface, the same in both protocols and also in errors", async () => {
    const fixture = await serving();
    const epoch = "0000044c";
    arrive(fixture, ANNOUNCE_REQUEST);
    arrive(fixture, ADDRESS_REQUEST);
    arrive(fixture, patch(MAP_REQUEST, 1, "03"));
    const [announce = "", address = "", error = ""] = toClient(fixture);
    expect([announce.slice(16, 24), address.slice(8, 16), error.slice(16, 24)]).toEqual([epoch, epoch, epoch]);
    arrive(fixture, MAP_REQUEST);
    await fixture.advance(5000);
    arrive(fixture, ANNOUNCE_REQUEST);
    expect(toClient(fixture).at(-1)?.slice(16, 24)).toBe("00000451");
    fixture.controller.decideNext(mapped(true));
    await fixture.rest();
    expect(toClient(fixture).at(-1)?.slice(16, 24)).toBe("00000451");
  });

  it("asks nothing and answers the transient error in safe mode", async () => {
    const fixture = await serving();
    fixture.controller.mode = "safe";
    arrive(fixture, MAP_REQUEST);
    arrive(fixture, MAP_TCP);
    expect(fixture.controller.submitted).toEqual([]);
    expect(toClient(fixture).map((reply) => reply.slice(0, 16))).toEqual(["028100080000001e", "008200040000044c"]);
  });

  it("follows the settings: a protocol switched off is an unsupported version", async () => {
    const fixture = await serving();
    const { settings } = fixture.controller.state;
    fixture.controller.publish({ settings: { ...settings, portControl: { ...settings.portControl, natpmp: false } } });
    arrive(fixture, ADDRESS_REQUEST);
    expect(toClient(fixture)).toEqual([flat("0280000100000708 0000044c") + "00".repeat(12)]);
  });

  it("NPMP-S-19 drops a source that is not on the link, without a word to the controller", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST, { ...CLIENT, address: "11.22.33.2" });
    arrive(fixture, MAP_REQUEST, { ...CLIENT, address: "192.168.78.2" });
    arrive(fixture, MAP_REQUEST, { ...CLIENT, port: 0 });
    expect(fixture.controller.submitted).toEqual([]);
    expect(fixture.sockets.at(LAN0.address).sent.filter(({ to }) => to.startsWith("1"))).toEqual([]);
  });

  it("drops what one address asks beyond three shares of a device, says so once a second, and hears the others", async () => {
    const fixture = await serving();
    for (let index = 0; index < 1000; index += 1) arrive(fixture, ANNOUNCE_REQUEST);
    const other = { address: "192.168.77.3", port: 50_000 };
    arrive(fixture, patch(ANNOUNCE_REQUEST, 23, "03"), other);
    expect(toClient(fixture)).toHaveLength(150);
    expect(fixture.sentTo("192.168.77.3:50000")).toHaveLength(1);
    await fixture.advance(1000);
    const drops = fixture.requestLog.list().filter(({ decision }) => decision === "dropped");
    expect(drops).toMatchObject([
      { from: CLIENT.address, interface: "lan0", request: "850 datagrams", message: "more than 150 requests a second" },
    ]);
  });

  it("writes every answer and refusal into the request log", async () => {
    const fixture = await serving();
    arrive(fixture, MAP_REQUEST);
    await fixture.advance(20);
    fixture.controller.decideNext(refusal("BLOCKED"));
    await fixture.rest();
    arrive(fixture, MAP_DELETE);
    fixture.controller.decideNext(DONE);
    await fixture.rest();
    arrive(fixture, patch(MAP_REQUEST, 1, "03"));
    const shared = { protocol: "pcp", from: "192.168.77.2", interface: "lan0" };
    expect(fixture.requestLog.list()).toMatchObject([
      { ...shared, request: "opcode 3", decision: "refused", code: "INVALID_REQUEST" },
      { ...shared, request: "MAP delete tcp 8080", decision: "released", code: null },
      { ...shared, at: 2_000_000, decision: "refused", code: "BLOCKED", durationMs: 20 },
    ]);
  });
});

describe("PCP server: sockets", () => {
  it("opens one socket for each address and keeps it while it is served", async () => {
    const fixture = await serving();
    const [first] = fixture.sockets.opened;
    await fixture.server.serve([LAN1, LAN0]);
    expect(fixture.sockets.opened).toHaveLength(2);
    expect(fixture.sockets.at(LAN0.address)).toBe(first);
    expect(first?.place).toEqual({ interface: "lan0", address: "192.168.77.1", port: 5351 });
  });

  it("opens a new socket, the old one closed first, when the interface is back with another index", async () => {
    const fixture = await serving();
    const old = fixture.sockets.at(LAN0.address);
    expect(await fixture.server.serve([{ ...LAN0, ifindex: 9 }, LAN1])).toEqual([]);
    expect(old.closed).toBe(true);
    expect(fixture.server.served).toEqual([LAN1, { ...LAN0, ifindex: 9 }]);
  });

  it("closes what is no longer served and does not answer there any more", async () => {
    const fixture = await serving();
    const old = fixture.sockets.at(LAN0.address);
    arrive(fixture, MAP_REQUEST);
    await fixture.server.serve([LAN1]);
    fixture.controller.decideNext(mapped(true));
    await fixture.rest();
    expect(old.closed).toBe(true);
    expect(old.sent.filter(({ to }) => to.startsWith(CLIENT.address))).toEqual([]);
  });

  it("names what it could not open, serves the rest, and tries again when asked again", async () => {
    const fixture = new Fixture();
    fixture.sockets.taken.add(LAN0.address);
    const faults = await fixture.server.serve([LAN0, LAN1]);
    expect(faults).toMatchObject([{ listener: LAN0, error: { code: "UNAVAILABLE" } }]);
    expect(fixture.server.served).toEqual([LAN1]);
    fixture.sockets.taken.clear();
    expect(await fixture.server.serve([LAN0, LAN1])).toEqual([]);
    expect(fixture.server.served).toEqual([LAN1, LAN0]);
  });

  it("gives up a socket that failed, so that the next call opens it again", async () => {
    const fixture = await serving();
    fixture.sockets.at(LAN0.address).breakDown();
    await fixture.rest();
    expect(fixture.server.served).toEqual([LAN1]);
    await fixture.server.serve([LAN0, LAN1]);
    expect(fixture.server.served).toEqual([LAN1, LAN0]);
  });

  it("serves the last of several calls made at once", async () => {
    const fixture = new Fixture();
    await Promise.all([fixture.server.serve([LAN0]), fixture.server.serve([]), fixture.server.serve([LAN1])]);
    expect(fixture.server.served).toEqual([LAN1]);
    expect(fixture.sockets.opened.filter(({ closed }) => !closed)).toHaveLength(1);
  });

  it("closes everything and leaves no alarm behind", async () => {
    const fixture = await serving();
    arrive(fixture, hex("00"));
    await fixture.rest();
    await fixture.server.close();
    expect(fixture.sockets.opened.every(({ closed }) => closed)).toBe(true);
    expect(fixture.clock.nextAlarmAt).toBeNull();
    expect(await fixture.server.serve([LAN0])).toEqual([]);
    expect(fixture.server.served).toEqual([]);
  });
});
