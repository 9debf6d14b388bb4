import { action, type ServiceDefinition, variable } from "./definition.ts";

const FLOW = [
  "RemoteHost:A_ARG_TYPE_IPv6Address",
  "RemotePort:A_ARG_TYPE_Port",
  "InternalClient:A_ARG_TYPE_IPv6Address",
  "InternalPort:A_ARG_TYPE_Port",
  "Protocol:A_ARG_TYPE_Protocol",
];
const UNIQUE_ID = "UniqueID:A_ARG_TYPE_UniqueID";

/** WANIPv6FirewallControl:1, without the optional CheckPinholeWorking. */
export const WAN_IPV6_FIREWALL_CONTROL: ServiceDefinition = {
  actions: [
    action("GetFirewallStatus", [], ["FirewallEnabled:FirewallEnabled", "InboundPinholeAllowed:InboundPinholeAllowed"]),
    action("GetOutboundPinholeTimeout", FLOW, ["OutboundPinholeTimeout:A_ARG_TYPE_OutboundPinholeTimeout"]),
    action("AddPinhole", [...FLOW, "LeaseTime:A_ARG_TYPE_LeaseTime"], [UNIQUE_ID]),
    action("UpdatePinhole", [UNIQUE_ID, "NewLeaseTime:A_ARG_TYPE_LeaseTime"], []),
    action("DeletePinhole", [UNIQUE_ID], []),
    action("GetPinholePackets", [UNIQUE_ID], ["PinholePackets:A_ARG_TYPE_PinholePackets"]),
  ],
  variables: [
    variable("FirewallEnabled", "boolean", { evented: true }),
    variable("InboundPinholeAllowed", "boolean", { evented: true }),
    variable("A_ARG_TYPE_OutboundPinholeTimeout", "ui4"),
    variable("A_ARG_TYPE_IPv6Address", "string"),
    variable("A_ARG_TYPE_Port", "ui2"),
    variable("A_ARG_TYPE_Protocol", "ui2"),
    variable("A_ARG_TYPE_LeaseTime", "ui4", { range: { min: 1, max: 86_400 } }),
    variable("A_ARG_TYPE_UniqueID", "ui2"),
    variable("A_ARG_TYPE_PinholePackets", "ui4"),
  ],
};
