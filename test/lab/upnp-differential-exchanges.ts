import { encodeCall, soapActionText } from "../../src/protocols/upnp/soap.ts";
import { encodeSearch } from "../../src/protocols/upnp/ssdp.ts";
import { typeText } from "../../src/protocols/upnp/upnp-type.ts";
import { portMapping } from "./control-point.ts";

/** Where each of the two has what is asked for. */
export interface Places {
  readonly client: string;
  readonly control: Readonly<Record<string, string>>;
  readonly events: Readonly<Record<string, string>>;
}

/** One request of the script. They build on each other: both servers get all of them, in this order. */
export type Exchange = { readonly id: string } & (
  | {
      readonly kind: "action";
      readonly service: string;
      readonly version: number;
      readonly action: string;
      readonly args: (places: Places) => Readonly<Record<string, string | number>>;
    }
  | { readonly kind: "post"; readonly headers: Readonly<Record<string, string>>; readonly body: string }
  | { readonly kind: "subscribe"; readonly headers: (places: Places) => Readonly<Record<string, string>> }
  | { readonly kind: "search"; readonly message: string }
);

const act = (
  id: string,
  action: string,
  args: Readonly<Record<string, string | number>> = {},
  service = "WANIPConnection",
  version = 2,
): Exchange => {
  return { id, kind: "action", service, version, action, args: () => args };
};
const map = (id: string, more: Readonly<Record<string, string | number>> = {}, action = "AddPortMapping"): Exchange => {
  return {
    id,
    kind: "action",
    service: "WANIPConnection",
    version: 2,
    action,
    args: ({ client }) => portMapping(client, more),
  };
};
const key = (port: number | string, protocol = "TCP", remoteHost = "") => ({
  NewRemoteHost: remoteHost,
  NewExternalPort: port,
  NewProtocol: protocol,
});
const range = (first: number, last: number, protocol = "TCP") => ({
  NewStartPort: first,
  NewEndPort: last,
  NewProtocol: protocol,
  NewManage: 0,
});

const QUERIES = [
  "GetConnectionTypeInfo",
  "GetStatusInfo",
  "GetNATRSIPStatus",
  "GetExternalIPAddress",
  "RequestConnection",
  "ForceTermination",
];
const COMMON = [
  "GetCommonLinkProperties",
  "GetTotalBytesSent",
  "GetTotalBytesReceived",
  "GetTotalPacketsSent",
  "GetTotalPacketsReceived",
];

const STATUS: readonly Exchange[] = [
  ...QUERIES.map((action) => act(`status/${action}`, action)),
  ...QUERIES.slice(0, 4).map((action) => act(`status-v1/${action}`, action, {}, "WANIPConnection", 1)),
  act("status/SetConnectionType", "SetConnectionType", { NewConnectionType: "IP_Routed" }),
  ...COMMON.map((action) => act(`common/${action}`, action, {}, "WANCommonInterfaceConfig", 1)),
  act("layer3/get", "GetDefaultConnectionService", {}, "Layer3Forwarding", 1),
  act(
    "layer3/set",
    "SetDefaultConnectionService",
    { NewDefaultConnectionService: "uuid:none:x,y" },
    "Layer3Forwarding",
    1,
  ),
  act("action/unknown", "GetNothing"),
  act("action/another-case", "getexternalipaddress"),
  act("action/surplus", "GetExternalIPAddress", { NewSurplus: 1 }),
];

const MAPPINGS: readonly Exchange[] = [
  map("add/first"),
  map("add/again"),
  act("get/index-0", "GetGenericPortMappingEntry", { NewPortMappingIndex: 0 }),
  act("get/index-1", "GetGenericPortMappingEntry", { NewPortMappingIndex: 1 }),
  act("get/index-text", "GetGenericPortMappingEntry", { NewPortMappingIndex: "x" }),
  act("get/key", "GetSpecificPortMappingEntry", key(8090)),
  act("get/key-lower-case", "GetSpecificPortMappingEntry", key(8090, "tcp")),
  act("get/key-udp", "GetSpecificPortMappingEntry", key(8090, "UDP")),
  act("get/key-other-remote", "GetSpecificPortMappingEntry", key(8090, "TCP", "11.22.33.9")),
  act("get/key-no-protocol", "GetSpecificPortMappingEntry", key(8090, "")),
  map("add/udp", { NewProtocol: "UDP" }),
  map("add/lower-case", { NewProtocol: "udp", NewExternalPort: 8091 }),
  map("add/no-protocol", { NewProtocol: "" }),
  map("add/other-protocol", { NewProtocol: "SCTP" }),
  map("add/external-0", { NewExternalPort: 0 }),
  map("add/internal-0", { NewInternalPort: 0 }),
  map("add/external-65536", { NewExternalPort: 65536 }),
  map("add/external-text", { NewExternalPort: "eighty" }),
  map("add/external-low", { NewExternalPort: 80 }),
  map("add/internal-low", { NewInternalPort: 80, NewExternalPort: 8092 }),
  map("add/no-client", { NewInternalClient: "" }),
  map("add/other-client", { NewInternalClient: "192.168.77.9" }),
  map("add/gateway", { NewInternalClient: "192.168.77.1" }),
  map("add/everybody", { NewInternalClient: "255.255.255.255", NewProtocol: "UDP" }),
  map("add/remote", { NewRemoteHost: "11.22.33.2", NewExternalPort: 8093 }),
  act("get/remote", "GetSpecificPortMappingEntry", key(8093, "TCP", "11.22.33.2")),
  map("add/remote-name", { NewRemoteHost: "no such name", NewExternalPort: 8094 }),
  map("add/disabled", { NewEnabled: 0, NewExternalPort: 8095 }),
  act("get/disabled", "GetSpecificPortMappingEntry", key(8095)),
  map("add/enabled-text", { NewEnabled: "perhaps", NewExternalPort: 8096 }),
  map("add/lease-0", { NewLeaseDuration: 0, NewExternalPort: 8097 }),
  act("get/lease-0", "GetSpecificPortMappingEntry", key(8097)),
  map("add/lease-too-long", { NewLeaseDuration: 700_000, NewExternalPort: 8098 }),
  map("add/lease-text", { NewLeaseDuration: "soon", NewExternalPort: 8099 }),
  map("add/markup", { NewPortMappingDescription: "<a> & ]]>", NewExternalPort: 8100 }),
  act("get/markup", "GetSpecificPortMappingEntry", key(8100)),
  map("any/free", { NewExternalPort: 8110 }, "AddAnyPortMapping"),
  map("any/again", { NewExternalPort: 8110 }, "AddAnyPortMapping"),
  map("any/other-client", { NewExternalPort: 8111, NewInternalClient: "192.168.77.9" }, "AddAnyPortMapping"),
  act("list/some", "GetListOfPortMappings", { ...range(8090, 8099), NewNumberOfPorts: 2 }),
  act("list/none", "GetListOfPortMappings", { ...range(20_000, 20_001), NewNumberOfPorts: 0 }),
  act("list/wrong-way", "GetListOfPortMappings", { ...range(9, 8), NewNumberOfPorts: 0 }),
  act("delete/first", "DeletePortMapping", key(8090)),
  act("delete/again", "DeletePortMapping", key(8090)),
  act("delete/external-0", "DeletePortMapping", key(0)),
  act("delete/no-protocol", "DeletePortMapping", key(8090, "")),
  act("delete/range-none", "DeletePortMappingRange", range(20_000, 20_001)),
  act("delete/range-wrong-way", "DeletePortMappingRange", range(9, 8)),
  act("delete/range", "DeletePortMappingRange", range(8000, 8200)),
  act("delete/range-udp", "DeletePortMappingRange", range(8000, 8200, "UDP")),
  act("get/after", "GetGenericPortMappingEntry", { NewPortMappingIndex: 0 }),
];

const CALL = {
  service: { kind: "service", name: "WANIPConnection", version: 2 } as const,
  action: "GetExternalIPAddress",
};
const XML = { "Content-Type": 'text/xml; charset="utf-8"', SOAPAction: soapActionText(CALL) };
const body = encodeCall(CALL, []);
const change = encodeCall({ ...CALL, action: "ForceTermination" }, []);
const post = (id: string, headers: Readonly<Record<string, string>>, text = body): Exchange => ({
  id,
  kind: "post",
  headers,
  body: text,
});

const HTTP: readonly Exchange[] = [
  post("http/plain", XML),
  post("http/no-quotes", { ...XML, SOAPAction: soapActionText(CALL).replaceAll('"', "") }),
  post("http/no-soapaction", { "Content-Type": "text/xml" }),
  post("http/no-soapaction-change", { "Content-Type": "text/xml" }, change),
  post("http/other-action", XML, change),
  post("http/text", { ...XML, "Content-Type": "text/plain" }),
  post("http/origin", { ...XML, Origin: "http://evil.example" }),
  post("http/host-name", { ...XML, Host: "evil.example" }),
  post("http/host-other", { ...XML, Host: "192.168.77.9:80" }),
  post("http/dtd", XML, body.replace("<s:", '<!DOCTYPE a [<!ENTITY b "c">]><s:')),
  post("http/no-xml", XML, "GetExternalIPAddress"),
  post("http/empty", XML, ""),
  post("http/large", XML, body.padEnd(20_000, " ")),
  post("http/single-quote", { ...XML, SOAPAction: '"' }),
];

const callback = { CALLBACK: "<http://192.168.77.2:5000/>", NT: "upnp:event", TIMEOUT: "Second-300" };
const subscribe = (id: string, headers: Readonly<Record<string, string>>): Exchange => ({
  id,
  kind: "subscribe",
  headers: () => headers,
});
const without = (name: keyof typeof callback) =>
  Object.fromEntries(Object.entries(callback).filter(([each]) => each !== name));

const EVENTS: readonly Exchange[] = [
  subscribe("gena/plain", callback),
  subscribe("gena/long", { ...callback, TIMEOUT: "Second-infinite" }),
  subscribe("gena/no-timeout", without("TIMEOUT")),
  subscribe("gena/foreign", { ...callback, CALLBACK: "<http://192.168.77.9:5000/>" }),
  subscribe("gena/foreign-beyond", { ...callback, CALLBACK: "<http://11.22.33.2:5000/>" }),
  subscribe("gena/well-known-port", { ...callback, CALLBACK: "<http://192.168.77.2:80/>" }),
  subscribe("gena/no-callback", without("CALLBACK")),
  subscribe("gena/no-nt", without("NT")),
  subscribe("gena/other-nt", { ...callback, NT: "upnp:other" }),
  subscribe("gena/unknown-sid", { SID: "uuid:00000000-0000-0000-0000-000000000000" }),
  subscribe("gena/sid-and-nt", { SID: "uuid:00000000-0000-0000-0000-000000000000", NT: "upnp:event" }),
];

const device = (name: string, version: number): string => typeText({ kind: "device", name, version });
const service = (name: string, version: number): string => typeText({ kind: "service", name, version });
const search = (id: string, message: string): Exchange => ({ id, kind: "search", message });

const SEARCHES: readonly Exchange[] = [
  ...["ssdp:all", "upnp:rootdevice"].map((target) => search(`ssdp/${target}`, encodeSearch(target, 1))),
  ...["InternetGatewayDevice", "WANDevice", "WANConnectionDevice"].flatMap((name) =>
    [1, 2, 3].map((version) => search(`ssdp/${name}:${version}`, encodeSearch(device(name, version), 1))),
  ),
  ...[1, 2].map((version) =>
    search(`ssdp/WANIPConnection:${version}`, encodeSearch(service("WANIPConnection", version), 1)),
  ),
  ...["WANCommonInterfaceConfig", "Layer3Forwarding", "WANPPPConnection"].map((name) =>
    search(`ssdp/${name}:1`, encodeSearch(service(name, 1), 1)),
  ),
  search("ssdp/unknown", encodeSearch("urn:dial-multiscreen-org:service:dial:1", 1)),
  search("ssdp/no-mx", encodeSearch("upnp:rootdevice", null)),
  search("ssdp/no-man", encodeSearch("upnp:rootdevice", 1).replace(/MAN.*\r\n/, "")),
];

export const EXCHANGES: readonly Exchange[] = [...STATUS, ...MAPPINGS, ...HTTP, ...EVENTS, ...SEARCHES];
