import { UpnpDecodeError } from "./error.ts";
import { readXml, textOf, XML_DECLARATION, type XmlElement, type XmlLimits, xmlElement } from "./xml.ts";

/** WANIPConnection:2 §2.3.24: the value of NewPortListing. */
const LISTING = "urn:schemas-upnp-org:gw:WANIPConnection";
const LIMITS: XmlLimits = { bytes: 256 * 1024, depth: 4, elements: 8192 };

export interface ListedMapping {
  readonly remoteHost: string;
  readonly externalPort: number;
  readonly protocol: "TCP" | "UDP";
  readonly internalPort: number;
  readonly internalClient: string;
  readonly enabled: boolean;
  readonly description: string;
  readonly leaseSeconds: number;
}

/** Child elements, as the schema and the sample have them; the text of the specification says "attribute". */
export function encodePortListing(mappings: readonly ListedMapping[]): string {
  return `${XML_DECLARATION}<p:PortMappingList xmlns:p="${LISTING}">${mappings.map(entryText).join("")}</p:PortMappingList>`;
}

function entryText(mapping: ListedMapping): string {
  const parts = [
    xmlElement("p:NewRemoteHost", mapping.remoteHost),
    xmlElement("p:NewExternalPort", mapping.externalPort),
    xmlElement("p:NewProtocol", mapping.protocol),
    xmlElement("p:NewInternalPort", mapping.internalPort),
    xmlElement("p:NewInternalClient", mapping.internalClient),
    xmlElement("p:NewEnabled", mapping.enabled ? 1 : 0),
    xmlElement("p:NewDescription", mapping.description),
    xmlElement("p:NewLeaseTime", mapping.leaseSeconds),
  ];
  return `<p:PortMappingEntry>${parts.join("")}</p:PortMappingEntry>`;
}

export function decodePortListing(document: Uint8Array): readonly ListedMapping[] {
  const root = readXml(document, LIMITS);
  if (root.name !== "PortMappingList") throw new UpnpDecodeError("not a list of port mappings");
  return root.children.map(readEntry);
}

function readEntry(entry: XmlElement): ListedMapping {
  const text = (name: string): string => textOf(entry, name) ?? "";
  const number = (name: string, max: number): number => {
    const value = /^\d{1,10}$/.test(text(name)) ? Number(text(name)) : max + 1;
    if (value > max) throw new UpnpDecodeError(`${name} is no number up to ${max}`);
    return value;
  };
  const protocol = text("NewProtocol");
  if (protocol !== "TCP" && protocol !== "UDP") throw new UpnpDecodeError("NewProtocol is not TCP or UDP");
  return {
    remoteHost: text("NewRemoteHost"),
    externalPort: number("NewExternalPort", 0xffff),
    protocol,
    internalPort: number("NewInternalPort", 0xffff),
    internalClient: text("NewInternalClient"),
    enabled: text("NewEnabled") === "1",
    description: text("NewDescription"),
    leaseSeconds: number("NewLeaseTime", 0xffffffff),
  };
}
