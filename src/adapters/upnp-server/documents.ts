import { createHash } from "node:crypto";
import {
  type DeviceDescription,
  encodeDescription,
  type ServiceDescription,
} from "../../protocols/upnp/description.ts";
import {
  LAYER3_FORWARDING,
  WAN_COMMON_INTERFACE_CONFIG,
  WAN_IP_CONNECTION,
} from "../../protocols/upnp/gateway-services.ts";
import { WAN_IPV6_FIREWALL_CONTROL } from "../../protocols/upnp/firewall-service.ts";
import { encodeScpd } from "../../protocols/upnp/scpd.ts";
import { parseUpnpType, typeText } from "../../protocols/upnp/upnp-type.ts";
import type { Target } from "../../protocols/upnp/ssdp.ts";
import type { Identity } from "./identity.ts";

/** As which a gateway describes itself. */
export type Version = 1 | 2;
export type ServiceName =
  | "WANIPConnection"
  | "WANIPv6FirewallControl"
  | "WANCommonInterfaceConfig"
  | "Layer3Forwarding";

export const CONNECTION_SERVICE_ID = "urn:upnp-org:serviceId:WANIPConn1";
/** Windows and consoles stop at a gateway of version 2, and others take no other: each is led to what it asked for. */
export const DESCRIPTION_PATHS: Readonly<Record<Version, string>> = { 1: "/rootDesc.xml", 2: "/rootDesc2.xml" };
export const CONTROL_PATHS: Readonly<Record<ServiceName, string>> = {
  WANIPConnection: "/ctl/IPConn",
  WANIPv6FirewallControl: "/ctl/IP6FCtl",
  WANCommonInterfaceConfig: "/ctl/CmnIfCfg",
  Layer3Forwarding: "/ctl/L3F",
};
export const EVENT_PATHS: Readonly<Record<ServiceName, string>> = {
  WANIPConnection: "/evt/IPConn",
  WANIPv6FirewallControl: "/evt/IP6FCtl",
  WANCommonInterfaceConfig: "/evt/CmnIfCfg",
  Layer3Forwarding: "/evt/L3F",
};

export const deviceType = (name: string, version: number): string => typeText({ kind: "device", name, version });
export const serviceType = (name: ServiceName, version: number): string => typeText({ kind: "service", name, version });

/** DeviceProtection is optional in version 2 and left out: nobody is known by it, so all are let do what anybody may. */
export function describe(identity: Identity, version: Version): DeviceDescription {
  const { gateway, wan, connection, serialNumber } = identity;
  const device = (
    name: string,
    udn: string,
    services: ServiceDescription[],
    devices: DeviceDescription[],
  ): DeviceDescription => ({
    deviceType: deviceType(name, version),
    friendlyName: `Portreeve ${name}`,
    manufacturer: "Portreeve",
    modelDescription: "Gateway controller",
    modelName: "Portreeve",
    modelNumber: identity.version,
    serialNumber,
    udn,
    services,
    devices,
  });
  const connectionService = service(
    "WANIPConnection",
    version,
    CONNECTION_SERVICE_ID,
    `/WANIPCn${version === 1 ? "" : version}.xml`,
  );
  const common = service("WANCommonInterfaceConfig", 1, "urn:upnp-org:serviceId:WANCommonIFC1", "/WANCfg.xml");
  const forwarding = service("Layer3Forwarding", 1, "urn:upnp-org:serviceId:L3Forwarding1", "/L3F.xml");
  // Of IGD:2: version 1 knows nothing of IPv6.
  const firewall = service("WANIPv6FirewallControl", 1, "urn:upnp-org:serviceId:WANIPv6Firewall1", "/WANIP6FC.xml");
  const services = version === 1 ? [connectionService] : [connectionService, firewall];
  const connectionDevice = device("WANConnectionDevice", connection, services, []);
  const wanDevice = device("WANDevice", wan, [common], [connectionDevice]);
  return device("InternetGatewayDevice", gateway, [forwarding], [wanDevice]);
}

function service(name: ServiceName, version: number, serviceId: string, scpdUrl: string): ServiceDescription {
  const [controlUrl, eventSubUrl] = [CONTROL_PATHS[name], EVENT_PATHS[name]];
  return { serviceType: serviceType(name, version), serviceId, scpdUrl, controlUrl, eventSubUrl };
}

export interface Documents {
  /** Text by path. */
  readonly byPath: ReadonlyMap<string, string>;
  /** Another for another description: UPnP Device Architecture 1.1 §1.2.2, 24 bits. */
  readonly configId: number;
}

export function makeDocuments(identity: Identity): Documents {
  const trees = { 1: describe(identity, 1), 2: describe(identity, 2) };
  const scpds = [
    ["/WANIPCn.xml", encodeScpd(WAN_IP_CONNECTION[1])],
    ["/WANIPCn2.xml", encodeScpd(WAN_IP_CONNECTION[2])],
    ["/WANIP6FC.xml", encodeScpd(WAN_IPV6_FIREWALL_CONTROL)],
    ["/WANCfg.xml", encodeScpd(WAN_COMMON_INTERFACE_CONFIG)],
    ["/L3F.xml", encodeScpd(LAYER3_FORWARDING)],
  ] as const;
  const all = JSON.stringify([trees, scpds]);
  const configId = createHash("sha256").update(all).digest().readUIntBE(0, 3);
  const description = (version: Version) =>
    [DESCRIPTION_PATHS[version], encodeDescription(trees[version], configId)] as const;
  return { byPath: new Map([description(1), description(2), ...scpds]), configId };
}

/**
 * What a tree is found by, in the order in which it is said: three names of the root device, two of each other one, one
 * of each service (UPnP Device Architecture 1.1 §1.2.2).
 */
export function targetsOf(root: DeviceDescription): Target[] {
  return [{ type: "upnp:rootdevice", usn: `${root.udn}::upnp:rootdevice` }, ...targetsWithin(root)];
}

function targetsWithin({ udn, deviceType: type, services, devices }: DeviceDescription): Target[] {
  return [
    { type, usn: `${udn}::${type}` },
    { type: udn, usn: udn },
    ...services.map((each) => ({ type: each.serviceType, usn: `${udn}::${each.serviceType}` })),
    ...devices.flatMap(targetsWithin),
  ];
}

export interface Found {
  readonly targets: readonly Target[];
  /** Which description to lead to. */
  readonly version: Version;
}

/** What a search asks for (SSDP-07, SSDP-08); nothing if it is not for us. Version 2 only for who names it. */
export function find(identity: Identity, searched: string): Found {
  const first = targetsOf(describe(identity, 1));
  if (searched === "ssdp:all") return { targets: first, version: 1 };
  const named = first.filter(({ type }) => type === searched);
  if (named.length > 0 && parseUpnpType(searched)?.version !== 2) return { targets: named, version: 1 };
  // Also of a first version is what only the second description has.
  return { targets: targetsOf(describe(identity, 2)).filter(({ type }) => type === searched), version: 2 };
}
