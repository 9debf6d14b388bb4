import { action, type ServiceDefinition, variable } from "./definition.ts";

/** The services of an InternetGatewayDevice that are served here, as their specifications say them. */

const STATUS = ["Unconfigured", "Connecting", "Connected", "PendingDisconnect", "Disconnecting", "Disconnected"];
const LEASE_RANGE = { min: 0, max: 604_800 };
const PORT_KEY = ["NewRemoteHost:RemoteHost", "NewExternalPort:ExternalPort", "NewProtocol:PortMappingProtocol"];
const PORT_TARGET = [
  "NewInternalPort:InternalPort",
  "NewInternalClient:InternalClient",
  "NewEnabled:PortMappingEnabled",
  "NewPortMappingDescription:PortMappingDescription",
  "NewLeaseDuration:PortMappingLeaseDuration",
];
const PORT_RANGE = [
  "NewStartPort:ExternalPort",
  "NewEndPort:ExternalPort",
  "NewProtocol:PortMappingProtocol",
  "NewManage:A_ARG_TYPE_Manage",
];

/** StartOS's clients look here for whether a gateway shares ports by TLS name, as they look for PCP's marker. */
const HOSTNAME_ACTIONS = [
  action("X_START9_AddHostnameMapping", [...PORT_KEY, ...PORT_TARGET, "NewHostname:X_START9_Hostname"], []),
  action(
    "X_START9_DeleteHostnameMapping",
    [...PORT_KEY, "NewInternalPort:InternalPort", "NewHostname:X_START9_Hostname"],
    [],
  ),
];

const WAN_IP_ACTIONS = [
  action("SetConnectionType", ["NewConnectionType:ConnectionType"], []),
  action(
    "GetConnectionTypeInfo",
    [],
    ["NewConnectionType:ConnectionType", "NewPossibleConnectionTypes:PossibleConnectionTypes"],
  ),
  action("RequestConnection", [], []),
  action("ForceTermination", [], []),
  action(
    "GetStatusInfo",
    [],
    ["NewConnectionStatus:ConnectionStatus", "NewLastConnectionError:LastConnectionError", "NewUptime:Uptime"],
  ),
  action("GetNATRSIPStatus", [], ["NewRSIPAvailable:RSIPAvailable", "NewNATEnabled:NATEnabled"]),
  action(
    "GetGenericPortMappingEntry",
    ["NewPortMappingIndex:PortMappingNumberOfEntries"],
    [...PORT_KEY, ...PORT_TARGET],
  ),
  action("GetSpecificPortMappingEntry", PORT_KEY, PORT_TARGET),
  action("AddPortMapping", [...PORT_KEY, ...PORT_TARGET], []),
  action("DeletePortMapping", PORT_KEY, []),
  action("GetExternalIPAddress", [], ["NewExternalIPAddress:ExternalIPAddress"]),
  ...HOSTNAME_ACTIONS,
];

const WAN_IP_2_ACTIONS = [
  action("AddAnyPortMapping", [...PORT_KEY, ...PORT_TARGET], ["NewReservedPort:ExternalPort"]),
  action("DeletePortMappingRange", PORT_RANGE, []),
  action(
    "GetListOfPortMappings",
    [...PORT_RANGE, "NewNumberOfPorts:PortMappingNumberOfEntries"],
    ["NewPortListing:A_ARG_TYPE_PortListing"],
  ),
];

const WAN_IP_VARIABLES = [
  variable("ConnectionType", "string", { initial: "IP_Routed" }),
  variable("PossibleConnectionTypes", "string", { evented: true, values: ["Unconfigured", "IP_Routed", "IP_Bridged"] }),
  variable("ConnectionStatus", "string", { evented: true, values: STATUS }),
  variable("Uptime", "ui4"),
  variable("LastConnectionError", "string", { values: ["ERROR_NONE", "ERROR_UNKNOWN"] }),
  variable("RSIPAvailable", "boolean"),
  variable("NATEnabled", "boolean"),
  variable("ExternalIPAddress", "string", { evented: true }),
  variable("PortMappingNumberOfEntries", "ui2", { evented: true }),
  variable("PortMappingEnabled", "boolean"),
  variable("PortMappingLeaseDuration", "ui4", { range: LEASE_RANGE, initial: "3600" }),
  variable("RemoteHost", "string"),
  variable("ExternalPort", "ui2"),
  variable("InternalPort", "ui2", { range: { min: 1, max: 65535 } }),
  variable("PortMappingProtocol", "string", { values: ["TCP", "UDP"] }),
  variable("InternalClient", "string"),
  variable("PortMappingDescription", "string"),
  variable("X_START9_Hostname", "string"),
];

const WAN_IP_2_VARIABLES = [
  variable("SystemUpdateID", "ui4", { evented: true }),
  variable("A_ARG_TYPE_Manage", "boolean"),
  variable("A_ARG_TYPE_PortListing", "string"),
];

export const WAN_IP_CONNECTION: Readonly<Record<1 | 2, ServiceDefinition>> = {
  1: { actions: WAN_IP_ACTIONS, variables: WAN_IP_VARIABLES },
  2: {
    actions: [...WAN_IP_ACTIONS, ...WAN_IP_2_ACTIONS],
    variables: [...WAN_IP_VARIABLES, ...WAN_IP_2_VARIABLES],
  },
};

export const WAN_COMMON_INTERFACE_CONFIG: ServiceDefinition = {
  actions: [
    action(
      "GetCommonLinkProperties",
      [],
      [
        "NewWANAccessType:WANAccessType",
        "NewLayer1UpstreamMaxBitRate:Layer1UpstreamMaxBitRate",
        "NewLayer1DownstreamMaxBitRate:Layer1DownstreamMaxBitRate",
        "NewPhysicalLinkStatus:PhysicalLinkStatus",
      ],
    ),
    action("GetTotalBytesSent", [], ["NewTotalBytesSent:TotalBytesSent"]),
    action("GetTotalBytesReceived", [], ["NewTotalBytesReceived:TotalBytesReceived"]),
    action("GetTotalPacketsSent", [], ["NewTotalPacketsSent:TotalPacketsSent"]),
    action("GetTotalPacketsReceived", [], ["NewTotalPacketsReceived:TotalPacketsReceived"]),
  ],
  variables: [
    variable("WANAccessType", "string", { values: ["DSL", "POTS", "Cable", "Ethernet"] }),
    variable("Layer1UpstreamMaxBitRate", "ui4"),
    variable("Layer1DownstreamMaxBitRate", "ui4"),
    variable("PhysicalLinkStatus", "string", { evented: true, values: ["Up", "Down", "Initializing", "Unavailable"] }),
    variable("TotalBytesSent", "ui4"),
    variable("TotalBytesReceived", "ui4"),
    variable("TotalPacketsSent", "ui4"),
    variable("TotalPacketsReceived", "ui4"),
  ],
};

const DEFAULT_SERVICE = ["NewDefaultConnectionService:DefaultConnectionService"];
export const LAYER3_FORWARDING: ServiceDefinition = {
  actions: [
    action("SetDefaultConnectionService", DEFAULT_SERVICE, []),
    action("GetDefaultConnectionService", [], DEFAULT_SERVICE),
  ],
  variables: [variable("DefaultConnectionService", "string", { evented: true })],
};
