import { expect, it } from "vitest";
import { decodeDescription, encodeDescription } from "../../../../src/protocols/upnp/description.ts";
import { UpnpDecodeError } from "../../../../src/protocols/upnp/error.ts";
import {
  decodePropertySet,
  encodePropertySet,
  GenaRefusal,
  nextSeq,
  readSubscription,
} from "../../../../src/protocols/upnp/gena.ts";
import {
  LAYER3_FORWARDING,
  WAN_COMMON_INTERFACE_CONFIG,
  WAN_IP_CONNECTION,
} from "../../../../src/protocols/upnp/gateway-services.ts";
import { decodePortListing, encodePortListing } from "../../../../src/protocols/upnp/port-listing.ts";
import { decodeScpd, encodeScpd } from "../../../../src/protocols/upnp/scpd.ts";
import { parseUpnpType, typeText } from "../../../../src/protocols/upnp/upnp-type.ts";
import { readXml } from "../../../../src/protocols/upnp/xml.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const service = {
  serviceType: "urn:schemas-upnp-org:service:WANIPConnection:1",
  serviceId: "urn:upnp-org:serviceId:WANIPConn1",
  scpdUrl: "/WANIPCn.xml",
  controlUrl: "/ctl/IPConn",
  eventSubUrl: "/evt/IPConn",
};
const leaf = {
  deviceType: "urn:schemas-upnp-org:device:WANDevice:1",
  friendlyName: "a <b> & c",
  manufacturer: "m",
  modelDescription: "d",
  modelName: "n",
  modelNumber: "1",
  serialNumber: "s",
  udn: "uuid:1",
  services: [service],
  devices: [],
};

it("DESC-01 DESC-02 a description is read as it was written", () => {
  const root = { ...leaf, udn: "uuid:0", services: [], devices: [leaf] };
  expect(decodeDescription(bytes(encodeDescription(root, 5)))).toEqual({ urlBase: null, device: root });
});

it("DESC-05 cuts texts to what control points bear, between characters", () => {
  const { device } = decodeDescription(bytes(encodeDescription({ ...leaf, friendlyName: "\u{1f600}".repeat(80) }, 1)));
  expect(device.friendlyName).toBe("\u{1f600}".repeat(63));
});

it("IGD-C-03 reads URLBase where a gateway has one", () => {
  const text = encodeDescription(leaf, 1).replace(
    "<specVersion>",
    "<URLBase>http://10.0.0.1:80/</URLBase><specVersion>",
  );
  expect(decodeDescription(bytes(text)).urlBase).toBe("http://10.0.0.1:80/");
  for (const broken of ["<a/>", "<root/>", "<root><device/></root>"])
    expect(() => decodeDescription(bytes(broken))).toThrow(UpnpDecodeError);
});

const SERVICES = { ...WAN_IP_CONNECTION, common: WAN_COMMON_INTERFACE_CONFIG, l3: LAYER3_FORWARDING };
it.each(Object.entries(SERVICES))(
  "DESC-08 the SCPD of %s lists each action with its arguments, and each has a variable",
  (_, definition) => {
    const text = encodeScpd(definition);
    expect(decodeScpd(bytes(text))).toEqual(definition.actions);
    const names = new Set(definition.variables.map(({ name }) => name));
    for (const { in: given, out } of definition.actions)
      for (const { name, variable } of [...given, ...out]) expect(names.has(variable), name).toBe(true);
    const used = new Set(
      definition.actions.flatMap((each) => [...each.in, ...each.out].map(({ variable }) => variable)),
    );
    expect(definition.variables.filter(({ name, evented }) => !used.has(name) && !evented)).toEqual([]);
  },
);

it("version 1 has no action of version 2", () => {
  const names = (version: 1 | 2) => WAN_IP_CONNECTION[version].actions.map(({ name }) => name);
  expect(names(2).filter((name) => !names(1).includes(name))).toEqual([
    "AddAnyPortMapping",
    "DeletePortMappingRange",
    "GetListOfPortMappings",
  ]);
});

it("IGD-10 a list of port mappings has child elements, and is read as it was written", () => {
  const entry = {
    remoteHost: "",
    externalPort: 8080,
    protocol: "TCP",
    internalPort: 80,
    internalClient: "192.168.77.2",
    enabled: true,
    description: "]]> & <x>",
    leaseSeconds: 3600,
  } as const;
  const entries = [entry, { ...entry, protocol: "UDP" as const, enabled: false }];
  expect(decodePortListing(bytes(encodePortListing(entries)))).toEqual(entries);
  expect(encodePortListing(entries)).toContain('<p:PortMappingList xmlns:p="urn:schemas-upnp-org:gw:WANIPConnection">');
  expect(() => decodePortListing(bytes(encodePortListing(entries).replace("8080", "80800")))).toThrow(
    "NewExternalPort",
  );
});

it("types are read strictly", () => {
  const text = "urn:schemas-upnp-org:device:WANDevice:2";
  expect(parseUpnpType(text)).toEqual({ kind: "device", name: "WANDevice", version: 2 });
  expect(typeText({ kind: "device", name: "WANDevice", version: 2 })).toBe(text);
  for (const broken of ["upnp:rootdevice", "uuid:x", `${text}0000`, `${text}\n`, "urn:other:device:WANDevice:1"])
    expect(parseUpnpType(broken), broken).toBeNull();
});

const none = { sid: undefined, nt: undefined, callback: undefined, timeout: undefined };
const status = (method: "SUBSCRIBE" | "UNSUBSCRIBE", headers: Partial<Record<keyof typeof none, string>>): number => {
  try {
    readSubscription(method, { ...none, ...headers });
  } catch (cause) {
    if (cause instanceof GenaRefusal) return cause.status;
    throw cause;
  }
  return 200;
};

it("GENA-01 GENA-02 GENA-05 which headers belong together", () => {
  const callback = "<http://192.168.77.2:5000/>";
  expect(status("SUBSCRIBE", { nt: "upnp:event", callback })).toBe(200);
  expect(status("SUBSCRIBE", { callback })).toBe(412);
  expect(status("SUBSCRIBE", { nt: "upnp:other", callback })).toBe(412);
  expect(status("SUBSCRIBE", { nt: "upnp:event" })).toBe(412);
  expect(status("SUBSCRIBE", { nt: "upnp:event", callback: "http://192.168.77.2:5000/" })).toBe(412);
  expect(status("SUBSCRIBE", { sid: "uuid:1" })).toBe(200);
  expect(status("SUBSCRIBE", { sid: "uuid:1", nt: "upnp:event" })).toBe(400);
  expect(status("SUBSCRIBE", { sid: "uuid:1", callback })).toBe(400);
  expect(status("SUBSCRIBE", { sid: "1" })).toBe(412);
  expect(status("UNSUBSCRIBE", { sid: "uuid:1" })).toBe(200);
  expect(status("UNSUBSCRIBE", {})).toBe(412);
});

it("GENA-01 reads each callback and the seconds, and never infinity", () => {
  const headers = { ...none, nt: "upnp:event", callback: "<http://a/><http://b/>" };
  const asked = (timeout: string) => readSubscription("SUBSCRIBE", { ...headers, timeout });
  expect(asked("Second-1800")).toEqual({ kind: "subscribe", callbacks: ["http://a/", "http://b/"], seconds: 1800 });
  for (const timeout of ["infinite", "Second-infinite", "Second--1", "Second-9999999999"])
    expect(asked(timeout)).toMatchObject({ seconds: null });
});

it("GENA-03 a property set has a property for each variable, and the sequence never is 0 again", () => {
  const text = encodePropertySet({ ExternalIPAddress: "", ConnectionStatus: "<Connected>" });
  expect(readXml(bytes(text), { bytes: 4096, depth: 3, elements: 5 }).children.length).toBe(2);
  expect(decodePropertySet(bytes(text))).toEqual({ ExternalIPAddress: "", ConnectionStatus: "<Connected>" });
  expect([nextSeq(0), nextSeq(0xffffffff)]).toEqual([1, 1]);
});
