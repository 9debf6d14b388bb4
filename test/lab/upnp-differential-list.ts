/** A way in which the two differ and why that stays. */
export interface ListedDifference {
  /** Exchanges that show it, each of which must. */
  readonly on: string;
  readonly ours: string;
  readonly theirs: string;
  readonly reason: string;
}

const differ = (on: string, ours: string, theirs: string, reason: string): ListedDifference => ({
  on,
  ours,
  theirs,
  reason,
});

const ADDRESS = "200 NewExternalIPAddress=11.22.33.1";
const entry = (enabled: number, lease = "some"): string =>
  `200 NewInternalPort=8080 NewInternalClient=192.168.77.2 NewEnabled=${enabled} NewPortMappingDescription=a lab NewLeaseDuration=${lease}`;
const link = (type: string): string =>
  `200 NewWANAccessType=${type} NewLayer1UpstreamMaxBitRate=* NewLayer1DownstreamMaxBitRate=* NewPhysicalLinkStatus=Up`;

const VALUES = [
  differ(
    "status/RequestConnection",
    "200",
    "606",
    "WANIPConnection:2 §2.5.3: what is connected already is a success; nothing is done",
  ),
  differ(
    "common/GetCommonLinkProperties",
    link("Ethernet"),
    link("Cable"),
    "miniupnpd always says Cable; what we see is an Ethernet interface",
  ),
  differ("layer3/set", "720", "200", "Layer3Forwarding:1 §2.4.1: there is no such device; miniupnpd keeps any text"),
  differ("action/surplus", "402", ADDRESS, "UPnP Device Architecture 1.1 §3.2.2: too many arguments are Invalid Args"),
  differ("get/key-other-remote", "714", entry(1), "WANIPConnection:2 §2.5.15: the remote host is part of the key"),
  differ(
    "get/key-no-protocol",
    "601",
    entry(1),
    "WANIPConnection:2 §2.3.15: TCP or UDP; miniupnpd takes all that is not UDP for TCP",
  ),
  differ(
    "add/no-protocol add/other-protocol",
    "601",
    "200",
    "the same: nothing else is mapped as if it were TCP or UDP",
  ),
  differ("add/internal-0", "732", "606", "WANIPConnection:2 §2.5.16: WildCardNotPermittedInIntPort"),
  differ("add/external-65536", "601", "716", "a number beyond its range; miniupnpd lets it go round to 0"),
  differ("add/external-text", "402", "716", "what is no number; miniupnpd reads it as 0"),
  differ("add/no-client", "715", "501", "WANIPConnection:2 §2.5.16: no wild card for the internal client"),
  differ(
    "add/other-client add/gateway add/everybody",
    "606",
    "718",
    "nobody maps for others; miniupnpd says 606 only where a description of version 2 was compiled in, and conflict otherwise",
  ),
  differ("add/remote-name", "601", "200", "no names are looked up for clients; miniupnpd maps it, for everybody"),
  differ(
    "get/disabled",
    entry(0),
    entry(1),
    "WANIPConnection:2 §2.3.19: NewEnabled 0 is stored and nothing is forwarded; miniupnpd ignores it",
  ),
  differ("add/enabled-text add/lease-text", "402", "200", "what is no boolean and no number is Invalid Args"),
  differ(
    "get/lease-0",
    entry(1, "a day"),
    entry(1, "a week"),
    "policy: 0 is the longest we grant (portControl.lifetime.max, a day unless set); WANIPConnection:2 has a week",
  ),
  differ(
    "list/some",
    "200 NewPortListing=TCP8090+TCP8093",
    "200 NewPortListing=TCP8099+TCP8098",
    "oldest first, as GetGenericPortMappingEntry counts; what is limited is the same list from its start",
  ),
  differ("list/none", "730", "200 NewPortListing=", "WANIPConnection:2 §2.5.21: PortMappingNotFound"),
  differ("delete/again", "714", "200", "WANIPConnection:2 §2.5.18: NoSuchEntryInArray"),
  differ("delete/external-0", "714", "402", "WANIPConnection:2 §2.5.18: NoSuchEntryInArray, no entry has port 0"),
];

const HTTP = [
  differ("http/no-soapaction", ADDRESS, "HTTP 400", "what only asks is answered by its body, as StartTunnel does"),
  differ(
    "http/no-soapaction-change",
    "HTTP 403",
    "HTTP 400",
    "what changes something needs the header that no page can make a browser send",
  ),
  differ("http/other-action", "401", ADDRESS, "header and body name different actions: neither is done"),
  differ(
    "http/text",
    "HTTP 415",
    ADDRESS,
    "UPnP Device Architecture 1.1 §3.2.1: text/xml; a page can make a browser send text/plain",
  ),
  differ("http/origin", "HTTP 403", ADDRESS, "only browsers send Origin"),
  differ("http/host-name", "HTTP 403", "HTTP 404", "the Host has to be the address that was called (DNS rebinding)"),
  differ("http/host-other", "HTTP 403", ADDRESS, "the same: any other address is not ours"),
  differ(
    "http/dtd http/no-xml http/empty",
    "HTTP 400",
    ADDRESS,
    "a body that is no call is refused; miniupnpd goes by the header alone",
  ),
  differ("http/large", "HTTP 413", ADDRESS, "no more than 16 KiB is read"),
];

const EVENTS = [
  differ("gena/well-known-port", "412", "200 Second-300", "no event is posted to a service on a well-known port"),
  differ(
    "gena/no-nt gena/other-nt",
    "412",
    "200 Second-300",
    "UPnP Device Architecture 1.1 §4.1.2: NT has to be upnp:event",
  ),
  differ("gena/sid-and-nt", "400", "412", "UPnP Device Architecture 1.1 §4.1.2: incompatible header fields are 400"),
];

const SEARCHES = [
  differ(
    "ssdp/ssdp:all",
    "InternetGatewayDevice:1 Layer3Forwarding:1 WANCommonInterfaceConfig:1 WANConnectionDevice:1 WANDevice:1 WANIPConnection:1 upnp:rootdevice uuid",
    "DeviceProtection:1 InternetGatewayDevice:2 Layer3Forwarding:1 WANCommonInterfaceConfig:1 WANConnectionDevice:2 WANDevice:2 WANIPConnection:2 WANIPv6FirewallControl:1 WANPPPConnection:1 upnp:rootdevice uuid",
    "Windows and consoles stop at version 2: it is told to those who search for it; DeviceProtection and WANPPPConnection are not there",
  ),
  differ(
    "ssdp/InternetGatewayDevice:3",
    "nothing",
    "InternetGatewayDevice:3",
    "UPnP Device Architecture 1.1 §1.3.2: no answer for a version that is not supported",
  ),
  differ("ssdp/WANDevice:3", "nothing", "WANDevice:3", "the same"),
  differ("ssdp/WANConnectionDevice:3", "nothing", "WANConnectionDevice:3", "the same"),
  differ(
    "ssdp/WANPPPConnection:1",
    "nothing",
    "WANPPPConnection:1",
    "there is no such service; miniupnpd describes one that is its WANIPConnection",
  ),
  differ(
    "ssdp/no-mx ssdp/no-man",
    "nothing",
    "upnp:rootdevice",
    "UPnP Device Architecture 1.1 §1.3.2: a multicast search without MX or MAN is discarded",
  ),
];

export const DIFFERENCES: readonly ListedDifference[] = [...VALUES, ...HTTP, ...EVENTS, ...SEARCHES];
