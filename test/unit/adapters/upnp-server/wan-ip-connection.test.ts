import { describe, expect, it } from "vitest";
import { upnpErrorOf } from "../../../../src/adapters/upnp-server/refusal-errors.ts";
import { ERROR_CODES, type ErrorCode } from "../../../../src/lib/errors.ts";
import { decodePortListing } from "../../../../src/protocols/upnp/port-listing.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { bytes, CALLER, entry, IDENTITY, Rig } from "./fixture.ts";

const MAPPED: Outcome = {
  ok: true,
  seq: 1,
  changed: true,
  answer: {
    kind: "mapped",
    mappingId: "m1",
    claimKey: "upnp:",
    externalAddress: "11.22.33.1",
    externalPort: 8081,
    lifetime: 600,
  },
};
const DONE: Outcome = { ok: true, seq: 1, changed: true, answer: { kind: "done" } };
const refused = (code: ErrorCode): Outcome => ({ ok: false, refusal: { code, message: "no" } });
const ADD = {
  NewRemoteHost: "",
  NewExternalPort: 8080,
  NewProtocol: "TCP",
  NewInternalPort: 80,
  NewInternalClient: CALLER.device,
  NewEnabled: 1,
  NewPortMappingDescription: "web",
  NewLeaseDuration: 600,
};
const COMMAND = {
  type: "upnpMap",
  ...CALLER,
  protocol: "tcp",
  externalPort: 8080,
  any: false,
  internalPort: 80,
  remoteHost: null,
  enabled: true,
  description: "web",
  lifetime: 600,
  source: `upnp:${CALLER.device}`,
};

describe("AddPortMapping", () => {
  it("asks the core what it was asked", async () => {
    expect(await new Rig().asked(MAPPED, "AddPortMapping", ADD)).toMatchObject({ command: COMMAND, said: {} });
    const other = { ...ADD, NewProtocol: "udp", NewEnabled: "false", NewRemoteHost: "11.22.33.9", NewLeaseDuration: 0 };
    expect((await new Rig().asked(MAPPED, "AddPortMapping", other)).command).toMatchObject({
      protocol: "udp",
      enabled: false,
      remoteHost: "11.22.33.9",
      lifetime: 0,
    });
  });

  it("IGD-03 AddAnyPortMapping says which port it became; 0 is a choice", async () => {
    const { command, said } = await new Rig().asked(MAPPED, "AddAnyPortMapping", { ...ADD, NewExternalPort: 0 });
    expect(command).toMatchObject({ any: true, externalPort: 0 });
    expect(said).toEqual({ NewReservedPort: "8081" });
  });

  it("IGD-04 a lease of more than a week is one of a week, and never 725", async () => {
    const long = { ...ADD, NewLeaseDuration: 4_294_967_295 };
    expect((await new Rig().asked(MAPPED, "AddPortMapping", long)).command).toMatchObject({ lifetime: 604_800 });
  });

  it.each([
    ["IGD-07 external port 0", { NewExternalPort: 0 }, 716],
    ["IGD-07 internal port 0", { NewInternalPort: 0 }, 732],
    ["IGD-07 no internal client", { NewInternalClient: "" }, 715],
    ["SEC-02 IGD-08 another host", { NewInternalClient: "192.168.77.3" }, 606],
    ["SEC-11 the gateway itself", { NewInternalClient: "192.168.77.1" }, 606],
    ["IGD-21 everybody", { NewInternalClient: "255.255.255.255" }, 606],
    ["a name", { NewInternalClient: "localhost" }, 606],
    ["IGD-06 a remote host that would have to be looked up", { NewRemoteHost: "example.com" }, 601],
    ["a multicast remote host", { NewRemoteHost: "239.1.1.1" }, 601],
    ["IGD-13 another protocol", { NewProtocol: "SCTP" }, 601],
    ["IGD-13 no protocol", { NewProtocol: "" }, 601],
    ["a port that is none", { NewExternalPort: "80a" }, 402],
    ["SOAP-08 a port beyond the last", { NewExternalPort: 65536 }, 601],
  ])("%s: the core is not even asked", async (_, change, number) => {
    for (const action of ["AddPortMapping", ...(number === 716 ? [] : ["AddAnyPortMapping"])]) {
      expect(await new Rig().asked(MAPPED, action, { ...ADD, ...change }), action).toEqual({
        command: undefined,
        said: number,
      });
    }
  });

  it("IGD-15 718 where a device has the port, 729 where an operator or a listener has", async () => {
    expect((await new Rig().asked(refused("PORT_TAKEN"), "AddPortMapping", ADD)).said).toBe(718);
    expect((await new Rig().asked(refused("PORT_PROTECTED"), "AddPortMapping", ADD)).said).toBe(729);
  });
});

describe("deleting", () => {
  const key = { NewRemoteHost: "", NewExternalPort: 8080, NewProtocol: "TCP" };
  it("IGD-13 names one protocol, or none for both", async () => {
    const rig = new Rig();
    const command = { type: "upnpUnmap", ...CALLER, protocol: "tcp", externalPort: 8080, remoteHost: null };
    expect(await rig.asked(DONE, "DeletePortMapping", key)).toMatchObject({ command, said: {} });
    const both = await rig.asked(DONE, "DeletePortMapping", { ...key, NewProtocol: "" });
    expect(both.command).toMatchObject({ ...command, protocol: null });
  });

  it("IGD-09 a missing entry is 714, a missing range 730, a range the wrong way round 733", async () => {
    const range = { NewStartPort: 1, NewEndPort: 9, NewProtocol: "UDP", NewManage: 1 };
    expect((await new Rig().asked(refused("NOT_FOUND"), "DeletePortMapping", key)).said).toBe(714);
    const none = { ...key, NewExternalPort: 0 };
    expect((await new Rig().asked(refused("NOT_FOUND"), "DeletePortMapping", none)).said).toBe(714);
    expect((await new Rig().asked(refused("NOT_FOUND"), "DeletePortMappingRange", range)).said).toBe(730);
    const done = await new Rig().asked(DONE, "DeletePortMappingRange", range);
    expect(done.command).toMatchObject({ type: "upnpUnmapRange", protocol: "udp", firstPort: 1, lastPort: 9 });
    expect((await new Rig().asked(DONE, "DeletePortMappingRange", { ...range, NewStartPort: 10 })).said).toBe(733);
  });
});

describe("[P10] a TLS name of a port", () => {
  const named = { ...ADD, NewExternalPort: 443, NewInternalPort: 443, NewHostname: "photos.example.com" };
  const key = { NewRemoteHost: "", NewExternalPort: 443, NewProtocol: "TCP", NewInternalPort: 443 };
  const dropped = { ...key, NewHostname: "photos.example.com" };

  it("is asked of the core as it was asked for", async () => {
    const { command, said } = await new Rig().asked(MAPPED, "X_START9_AddHostnameMapping", named);
    const place = { externalPort: 443, internalPort: 443, any: false, remoteHost: null };
    expect(command).toMatchObject({ ...COMMAND, ...place, name: "photos.example.com" });
    expect(said).toEqual({});
    const away = await new Rig().asked(DONE, "X_START9_DeleteHostnameMapping", dropped);
    const where = { ...CALLER, protocol: "tcp", externalPort: 443, internalPort: 443, remoteHost: null };
    expect(away).toMatchObject({ command: { type: "upnpUnmap", ...where, name: "photos.example.com" }, said: {} });
  });

  it.each([
    ["a name that another has", "HOSTNAME_TAKEN", 800],
    ["a name that is none", "HOSTNAME_UNSUPPORTED", 801],
    ["a gateway without HAProxy", "SNI_UNAVAILABLE", 801],
    ["a name that is not there", "NOT_FOUND", 714],
  ] as const)("%s is refused with its number", async (_, code, number) => {
    const action = number === 714 ? "X_START9_DeleteHostnameMapping" : "X_START9_AddHostnameMapping";
    expect((await new Rig().asked(refused(code), action, number === 714 ? dropped : named)).said).toBe(number);
  });

  it.each([
    ["a remote host", { NewRemoteHost: "11.22.33.9" }, 801],
    ["another host's", { NewInternalClient: "192.168.77.3" }, 606],
    ["no port", { NewExternalPort: "" }, 402],
  ])("%s: the core is not even asked", async (_, change, number) => {
    const refusal = { command: undefined, said: number };
    expect(await new Rig().asked(MAPPED, "X_START9_AddHostnameMapping", { ...named, ...change })).toEqual(refusal);
  });

  it("is no argument to be left out", async () => {
    const { NewHostname: _, ...unnamed } = named;
    expect((await new Rig().asked(MAPPED, "X_START9_AddHostnameMapping", unnamed)).said).toBe(402);
    expect((await new Rig().asked(DONE, "X_START9_DeleteHostnameMapping", key)).said).toBe(402);
  });
});

describe("what is there", () => {
  const rig = new Rig();
  rig.entries = [
    entry(),
    entry({ protocol: "UDP", enabled: false }),
    entry({ externalPort: 9000, remoteHost: "11.22.33.9" }),
  ];

  it("IGD-11 an array without holes, that ends with 713", async () => {
    expect(await rig.call("GetGenericPortMappingEntry", { NewPortMappingIndex: 1 })).toEqual({
      NewRemoteHost: "",
      NewExternalPort: "8080",
      NewProtocol: "UDP",
      NewInternalPort: "80",
      NewInternalClient: CALLER.device,
      NewEnabled: "0",
      NewPortMappingDescription: "web",
      NewLeaseDuration: "600",
    });
    expect(await rig.call("GetGenericPortMappingEntry", { NewPortMappingIndex: 3 })).toBe(713);
  });

  it("IGD-01 the remote host is part of the key", async () => {
    const key = { NewRemoteHost: "", NewExternalPort: 9000, NewProtocol: "tcp" };
    expect(await rig.call("GetSpecificPortMappingEntry", key)).toBe(714);
    expect(await rig.call("GetSpecificPortMappingEntry", { ...key, NewRemoteHost: "11.22.33.9" })).toMatchObject({
      NewInternalPort: "80",
    });
  });

  it("IGD-10 lists a range: all of it, or so many", async () => {
    const range = { NewStartPort: 0, NewEndPort: 65535, NewProtocol: "TCP", NewManage: 1, NewNumberOfPorts: 0 };
    const listed = async (more: object): Promise<number | number[]> => {
      const said = await rig.call("GetListOfPortMappings", { ...range, ...more });
      if (typeof said === "number") return said;
      return decodePortListing(bytes(said["NewPortListing"] ?? "")).map(({ externalPort }) => externalPort);
    };
    expect(await listed({})).toEqual([8080, 9000]);
    expect(await listed({ NewNumberOfPorts: 1 })).toEqual([8080]);
    expect(await listed({ NewStartPort: 9001 })).toBe(730);
    expect(await listed({ NewNumberOfPorts: 65535 })).toEqual([8080, 9000]);
    expect(await listed({ NewStartPort: 2, NewEndPort: 1 })).toBe(733);
  });

  it("IGD-10 IGD-11 thousands of ports are one entry each, and a list has 256 of them, to be continued", async () => {
    const many = new Rig();
    const ranges = [
      { externalPort: 9000, internalPort: 80, count: 1500 },
      { externalPort: 7000, internalPort: 7001, count: 511 },
      { externalPort: 8000, remoteHost: "11.22.33.9" },
      { externalPort: 8000 },
    ];
    many.entries = ranges.map((range) => entry(range));
    const written = many.entries.flatMap(({ count, ...range }) =>
      Array.from({ length: count }, (_, offset) => ({
        ...range,
        externalPort: range.externalPort + offset,
        internalPort: range.internalPort + offset,
      })),
    );
    for (const index of [0, 1, 1499, 1500, 2010, 2011, 2012, 2013]) {
      const said = await many.call("GetGenericPortMappingEntry", { NewPortMappingIndex: index });
      const { externalPort, internalPort } = written[index] ?? {};
      if (externalPort === undefined) expect(said).toBe(713);
      else expect(said).toMatchObject({ NewExternalPort: String(externalPort), NewInternalPort: String(internalPort) });
    }
    const key = { NewRemoteHost: "", NewExternalPort: 10_499, NewProtocol: "TCP" };
    expect(await many.call("GetSpecificPortMappingEntry", key)).toMatchObject({ NewInternalPort: "1579" });
    expect(await many.call("GetSpecificPortMappingEntry", { ...key, NewExternalPort: 10_500 })).toBe(714);
    const range = { NewEndPort: 65535, NewProtocol: "TCP", NewManage: 0, NewNumberOfPorts: 0 };
    const got: unknown[] = [];
    for (let first = 0; ; ) {
      const said = await many.call("GetListOfPortMappings", { ...range, NewStartPort: first });
      if (said === 730) break;
      const page = decodePortListing(bytes((said as Record<string, string>)["NewPortListing"] ?? ""));
      expect(page.length).toBeLessThanOrEqual(257);
      got.push(...page);
      first = (page.at(-1)?.externalPort ?? 65535) + 1;
    }
    expect(got).toEqual(written.toSorted((a, b) => a.externalPort - b.externalPort));
  });

  it("tells the address, or nothing while there is none", async () => {
    const other = new Rig();
    expect(await other.call("GetExternalIPAddress")).toEqual({ NewExternalIPAddress: "11.22.33.1" });
    expect(await other.call("GetStatusInfo")).toMatchObject({ NewConnectionStatus: "Connected" });
    other.address = null;
    expect(await other.call("GetExternalIPAddress")).toEqual({ NewExternalIPAddress: "" });
    expect(await other.call("GetStatusInfo")).toMatchObject({ NewConnectionStatus: "Disconnected" });
    expect(await other.call("RequestConnection")).toBe(704);
    other.address = "11.22.33.1";
    other.controller.mode = "safe";
    expect(await other.call("GetExternalIPAddress")).toEqual({ NewExternalIPAddress: "" });
  });
});

it("IGD-18 nobody on the LAN ends or changes the connection", async () => {
  const rig = new Rig();
  expect(await rig.call("RequestConnection")).toEqual({});
  expect(await rig.call("ForceTermination")).toBe(606);
  expect(await rig.call("SetConnectionType", { NewConnectionType: "IP_Routed" })).toBe(731);
  expect(await rig.call("GetConnectionTypeInfo")).toMatchObject({ NewConnectionType: "IP_Routed" });
  expect(await rig.call("GetNATRSIPStatus")).toEqual({ NewRSIPAvailable: "0", NewNATEnabled: "1" });
});

it("SOAP-01 both versions are understood, a third and another service are not", async () => {
  const rig = new Rig();
  expect(await rig.call("GetExternalIPAddress", {}, "WANIPConnection", 1)).toMatchObject({});
  expect(await rig.call("GetExternalIPAddress", {}, "WANIPConnection", 3)).toBe(401);
  expect(await rig.call("GetExternalIPAddress", {}, "WANPPPConnection", 1)).toBe(401);
  expect(await rig.call("getExternalIPAddress")).toBe(401);
  expect(await rig.call("toString")).toBe(401);
});

it("counters go round and rates do not", async () => {
  const rig = new Rig();
  rig.link = {
    up: true,
    bitsPerSecond: 1e10,
    sent: { bytes: 2 ** 32 + 7, packets: 1 },
    received: { bytes: 6, packets: 2 },
  };
  const ask = (action: string) => rig.call(action, {}, "WANCommonInterfaceConfig", 1);
  expect(await ask("GetTotalBytesSent")).toEqual({ NewTotalBytesSent: "7" });
  expect(await ask("GetTotalPacketsReceived")).toEqual({ NewTotalPacketsReceived: "2" });
  expect(await ask("GetCommonLinkProperties")).toEqual({
    NewWANAccessType: "Ethernet",
    NewLayer1UpstreamMaxBitRate: "4294967295",
    NewLayer1DownstreamMaxBitRate: "4294967295",
    NewPhysicalLinkStatus: "Up",
  });
  rig.link = null;
  expect(await ask("GetCommonLinkProperties")).toMatchObject({
    NewPhysicalLinkStatus: "Down",
    NewLayer1UpstreamMaxBitRate: "0",
  });
});

it("the default connection is the one there is, and can be set to nothing else", async () => {
  const rig = new Rig();
  const ask = (action: string, args = {}) => rig.call(action, args, "Layer3Forwarding", 1);
  const said = await ask("GetDefaultConnectionService");
  const service = `${IDENTITY.connection}:WANConnectionDevice:1,urn:upnp-org:serviceId:WANIPConn1`;
  expect(said).toEqual({ NewDefaultConnectionService: service });
  const set = (text: string) => ask("SetDefaultConnectionService", { NewDefaultConnectionService: text });
  expect(await set(service)).toEqual({});
  expect(await set(service.replace("uuid:", "uuid:0"))).toBe(720);
  expect(await set(service.replace("WANIPConn1", "WANIPConn2"))).toBe(721);
});

it("SEC-05 what changes something has to have a SOAPAction that says the same", async () => {
  const rig = new Rig();
  const call = (action: string, header: string | undefined) => {
    const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:${action} xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1"/></s:Body></s:Envelope>`;
    return rig.control.answer("WANIPConnection", CALLER, header, bytes(body));
  };
  expect(await call("ForceTermination", undefined)).toMatchObject({ status: 403 });
  expect(await call("GetExternalIPAddress", undefined)).toMatchObject({ status: 200 });
  const other = '"urn:schemas-upnp-org:service:WANIPConnection:1#GetExternalIPAddress"';
  expect(await call("ForceTermination", other)).toMatchObject({ status: 500, message: expect.stringContaining("401") });
  expect(await call("ForceTermination", '"')).toMatchObject({ status: 500 });
  expect(await rig.control.answer("WANIPConnection", CALLER, other, bytes("<!DOCTYPE a><a/>"))).toMatchObject({
    status: 400,
  });
});

it("each code of ours is one of theirs, and what an operator has is another conflict", () => {
  const asked = { range: false, operators: false };
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) expect(upnpErrorOf(code, asked)).toBeGreaterThan(400);
  expect(upnpErrorOf("PORT_TAKEN", { range: false, operators: true })).toBe(729);
  expect(
    ["NOT_AUTHORIZED", "APPROVAL_PENDING", "BLOCKED"].map((code) => upnpErrorOf(code as ErrorCode, asked)),
  ).toEqual([606, 606, 606]);
  expect(
    ["QUOTA_EXCEEDED", "EVENT_QUOTA_EXCEEDED", "NO_FREE_PORT"].map((code) => upnpErrorOf(code as ErrorCode, asked)),
  ).toEqual([728, 728, 728]);
  expect(
    ["NO_EXTERNAL_ADDRESS", "NOT_SETTLED", "APPLY_FAILED"].map((code) => upnpErrorOf(code as ErrorCode, asked)),
  ).toEqual([501, 501, 501]);
});
