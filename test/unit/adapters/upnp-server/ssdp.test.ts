import { describe, expect, it } from "vitest";
import { Advertiser } from "../../../../src/adapters/upnp-server/advertiser.ts";
import {
  describe as describeDevice,
  find,
  makeDocuments,
  targetsOf,
} from "../../../../src/adapters/upnp-server/documents.ts";
import type { Endpoint } from "../../../../src/adapters/upnp-server/endpoint.ts";
import { identityOf } from "../../../../src/adapters/upnp-server/identity.ts";
import { type Link, Searches } from "../../../../src/adapters/upnp-server/searches.ts";
import { DropLog } from "../../../../src/lib/drop-log.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { RequestLog } from "../../../../src/lib/request-log.ts";
import { decodeDescription } from "../../../../src/protocols/upnp/description.ts";
import { decodeSsdp, encodeSearch, SSDP_GROUP } from "../../../../src/protocols/upnp/ssdp.ts";
import { bytes, IDENTITY } from "./fixture.ts";

const types = (searched: string): string[] => find(IDENTITY, searched).targets.map(({ type }) => type);
const device = (name: string, version: number): string => `urn:schemas-upnp-org:device:${name}:${version}`;
const service = (name: string, version: number): string => `urn:schemas-upnp-org:service:${name}:${version}`;

it("SSDP-14 the names of a gateway are its own, three, and the same each time", () => {
  const uuids = [IDENTITY.gateway, IDENTITY.wan, IDENTITY.connection];
  expect(new Set(uuids).size).toBe(3);
  for (const uuid of uuids)
    expect(uuid).toMatch(/^uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(identityOf("an instance", "1.2.3")).toEqual(IDENTITY);
  expect(identityOf("another", "1.2.3").gateway).not.toBe(IDENTITY.gateway);
  expect(makeDocuments(IDENTITY).configId).not.toBe(makeDocuments({ ...IDENTITY, version: "1.2.4" }).configId);
});

it("SSDP-02 SSDP-07 what everything is, what each is, and each only as what it is", () => {
  expect(types("ssdp:all")).toEqual([
    "upnp:rootdevice",
    device("InternetGatewayDevice", 1),
    IDENTITY.gateway,
    service("Layer3Forwarding", 1),
    device("WANDevice", 1),
    IDENTITY.wan,
    service("WANCommonInterfaceConfig", 1),
    device("WANConnectionDevice", 1),
    IDENTITY.connection,
    service("WANIPConnection", 1),
  ]);
  for (const each of types("ssdp:all")) expect(types(each)).toEqual([each]);
  for (const each of [service("WANPPPConnection", 1), "uuid:other", "urn:dial-multiscreen-org:service:dial:1", ""])
    expect(types(each)).toEqual([]);
});

it("SSDP-08 DESC-09 who asks for version 2 is led to it, all others to version 1, and nobody to a third", () => {
  for (const name of ["InternetGatewayDevice", "WANDevice", "WANConnectionDevice"]) {
    expect(find(IDENTITY, device(name, 2))).toMatchObject({ version: 2, targets: [{ type: device(name, 2) }] });
    expect(find(IDENTITY, device(name, 1))).toMatchObject({ version: 1, targets: [{ type: device(name, 1) }] });
    expect(types(device(name, 3))).toEqual([]);
  }
  expect(types(service("WANIPConnection", 2))).toEqual([service("WANIPConnection", 2)]);
  expect(types(service("WANCommonInterfaceConfig", 2))).toEqual([]);
  for (const each of ["ssdp:all", "upnp:rootdevice", IDENTITY.gateway]) expect(find(IDENTITY, each).version).toBe(1);
});

it("DESC-01 DESC-03 DESC-05 both descriptions are small and lead to documents that are there", () => {
  const { byPath } = makeDocuments(IDENTITY);
  for (const [path, version] of [
    ["/rootDesc.xml", 1],
    ["/rootDesc2.xml", 2],
  ] as const) {
    const text = byPath.get(path) ?? "";
    expect(text.length).toBeLessThan(8192);
    const { device: root } = decodeDescription(bytes(text));
    expect(root).toEqual(describeDevice(IDENTITY, version));
    const services = [root, ...root.devices, ...root.devices.flatMap(({ devices }) => devices)].flatMap(
      (each) => each.services,
    );
    expect(services.length).toBe(version === 1 ? 3 : 4);
    for (const { scpdUrl, controlUrl, eventSubUrl } of services) {
      expect(byPath.has(scpdUrl)).toBe(true);
      expect([controlUrl, eventSubUrl].every((url) => url.startsWith("/"))).toBe(true);
    }
  }
});

const LINK = { interface: "lan0", address: "192.168.77.1", ifindex: 3, subnet: "192.168.77.1/24" };
const FROM: Endpoint = { address: "192.168.77.2", port: 40000 };

function rig(more: { on?: boolean } = {}) {
  const clock = new ManualClock();
  const requests = new RequestLog();
  const sent: { message: string; to: Endpoint }[] = [];
  const sockets = {
    send: (message: string, to: Endpoint) => void sent.push({ message, to }),
    onDatagram: () => undefined,
    onFailure: () => undefined,
    close: () => Promise.resolve(),
  };
  const link: Link = { ...LINK, sockets };
  const advertised = (address: string, version = 1) =>
    more.on === false
      ? null
      : {
          location: `http://${address}:49001/v${version}`,
          server: "Linux UPnP/1.1 P/1",
          maxAge: 1800,
          bootId: 1,
          configId: 2,
        };
  const drops = new DropLog(clock, requests, "upnp");
  const searches = new Searches({ identity: IDENTITY, clock, drops, links: () => [link], advertised });
  const search = (
    target: string,
    from = FROM,
    how: "multicast" | "unicast" = "multicast",
    wait: number | null = 1,
  ): number => {
    const before = sent.length;
    searches.receive(link, bytes(encodeSearch(target, wait)), from, how);
    clock.advance(500);
    return sent.length - before;
  };
  return { clock, requests, sent, link, advertised, search, searches };
}

describe("searches", () => {
  it("SSDP-09 SSDP-10 SSDP-11 are answered at once, to the searcher, with the address of its link", () => {
    const { sent, search } = rig();
    expect(search(device("InternetGatewayDevice", 2))).toBe(1);
    expect(sent[0]?.to).toEqual(FROM);
    expect(decodeSsdp(bytes(sent[0]?.message ?? ""))).toMatchObject({
      kind: "response",
      location: "http://192.168.77.1:49001/v2",
    });
    expect(search("ssdp:all")).toBe(10);
  });

  it("SSDP-06 a multicast one needs an MX, a unicast one has none", () => {
    const { search } = rig();
    expect(search("upnp:rootdevice", FROM, "multicast", null)).toBe(0);
    expect(search("upnp:rootdevice", FROM, "multicast", 0)).toBe(0);
    expect(search("upnp:rootdevice", FROM, "multicast", 65535)).toBe(1);
    expect(search("upnp:rootdevice", FROM, "unicast", null)).toBe(1);
  });

  it("SSDP-12 SEC-04 nobody beyond the link is answered, nor the gateway, nor everybody", () => {
    const { search } = rig();
    for (const address of [
      "11.22.33.2",
      "192.168.78.2",
      "192.168.77.1",
      "192.168.77.255",
      "192.168.77.0",
      "239.255.255.250",
      "::1",
    ])
      expect(search("ssdp:all", { address, port: 40000 }), address).toBe(0);
    expect(search("ssdp:all", { ...FROM, port: 0 })).toBe(0);
    expect(search("upnp:rootdevice", { ...FROM, port: 1900 }), "@achingbrain/ssdp searches from port 1900").toBe(1);
  });

  it("says nothing to what is no search, or while nothing is promised", () => {
    const { link, searches, sent } = rig();
    for (const text of [
      "",
      "NOTIFY * HTTP/1.1\r\nNT: x\r\nNTS: ssdp:alive\r\nUSN: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n",
      "\u0000",
    ])
      searches.receive(link, bytes(text), FROM, "multicast");
    expect(sent).toEqual([]);
    expect(rig({ on: false }).search("ssdp:all")).toBe(0);
  });

  it("SEC-04 gives no more than three times what it got, but for one whole answer", () => {
    const { clock, link, searches, sent } = rig();
    const request = bytes(encodeSearch("ssdp:all", 1));
    const search = (): void => searches.receive(link, request, FROM, "multicast");
    for (let second = 0; second < 10; second += 1) {
      for (let each = 0; each < 100; each += 1) search();
      clock.advance(1000);
    }
    const out = sent.reduce((sum, { message }) => sum + message.length + 28, 0);
    expect(out).toBeLessThanOrEqual(3 * 1000 * (request.length + 28) + 7000);
    // Those that were answered at all are 20 a second.
    expect(out).toBeLessThanOrEqual(3 * 220 * (request.length + 28) + 7000);
  });
});

describe("announcements", () => {
  const targets = targetsOf(describeDevice(IDENTITY, 1));
  const kinds = (sent: readonly { message: string }[]) =>
    sent.map(({ message }) => /NTS: (.*)/.exec(message)?.[1]?.trim());
  const start = (more: { on?: boolean } = {}) => {
    const parts = rig(more);
    const advertiser = new Advertiser(parts.link, {
      clock: parts.clock,
      random: () => 0.5,
      targets,
      advertised: parts.advertised,
    });
    return { ...parts, advertiser };
  };

  it("SSDP-03 SSDP-05 begin with goodbye, are said twice, and again within half of their time", () => {
    const { advertiser, sent, clock } = start();
    advertiser.start();
    clock.advance(250);
    expect(kinds(sent)).toEqual([
      ...targets.map(() => "ssdp:byebye"),
      ...targets.map(() => "ssdp:alive"),
      ...targets.map(() => "ssdp:alive"),
    ]);
    expect(sent.every(({ to }) => to.address === SSDP_GROUP && to.port === 1900)).toBe(true);
    sent.length = 0;
    clock.advance(836_000 - 1);
    expect(sent.length).toBe(0);
    clock.advance(64_000);
    expect(kinds(sent)).toEqual(targets.map(() => "ssdp:alive"));
  });

  it("SSDP-05 SSDP-14 end with goodbye; another link is an update before", () => {
    const { advertiser, sent, clock } = start();
    advertiser.start();
    sent.length = 0;
    advertiser.update(2);
    expect(sent[0]?.message).toContain("BOOTID.UPNP.ORG: 1\r\n");
    expect(sent[0]?.message).toContain("NEXTBOOTID.UPNP.ORG: 2\r\n");
    sent.length = 0;
    advertiser.stop();
    expect(kinds(sent)).toEqual(targets.map(() => "ssdp:byebye"));
    sent.length = 0;
    clock.advance(3_600_000);
    expect(sent).toEqual([]);
  });

  it("say nothing while nothing is promised", () => {
    const { advertiser, sent, clock } = start({ on: false });
    advertiser.start();
    clock.advance(1000);
    advertiser.stop();
    expect(sent).toEqual([]);
  });
});

it("[P9] who searches for what only version 2 has is led to its description", () => {
  const { targets, version } = find(IDENTITY, "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1");
  expect([targets.length, version]).toEqual([1, 2]);
  expect(find(IDENTITY, "urn:schemas-upnp-org:service:WANIPConnection:1")).toMatchObject({ version: 1 });
  expect(find(IDENTITY, "urn:schemas-upnp-org:service:WANIPv6FirewallControl:2").targets).toEqual([]);
});
