import { parseIpv4, parseIpv4Prefix, prefixText, withoutLength } from "../../lib/ip.ts";
import { ipv6Network, parseIpv6, parseIpv6Prefix } from "../../lib/ipv6.ts";
import { assert } from "../../lib/assert.ts";
import { type MapFields, messageBytesMin } from "../../protocols/pcp/body.ts";
import { OPTION, OPTIONAL_FROM } from "../../protocols/pcp/constants.ts";
import { decodeOption, type PcpOption, walkOptions } from "../../protocols/pcp/option.ts";
import type { PcpRequestHeader } from "../../protocols/pcp/request.ts";
import type { PcpErrorName } from "../../protocols/pcp/result.ts";
import type { MapRequest } from "../../reducers/decide/command.ts";
import type { Standing } from "./exchange.ts";

/** An error that the request's own form calls for. */
export class MalformedRequest extends Error {
  override readonly name = "MalformedRequest";
  readonly result: PcpErrorName;

  constructor(result: PcpErrorName, message: string) {
    super(message);
    this.result = result;
  }
}

export type FilterOption = Extract<PcpOption, { kind: "filter" }>;
type HostnameOption = Extract<PcpOption, { kind: "hostname" }>;
type ThirdPartyOption = Extract<PcpOption, { kind: "third-party" }>;
type PortSetOption = Extract<PcpOption, { kind: "port-set" }>;
type Filter = Exclude<MapRequest["filters"][number], "clear">;

/** The options of a request that are processed; its reply has the same, and no others. */
export interface MapOptions {
  readonly preferFailure: boolean;
  /** In their order, which matters. */
  readonly filters: readonly FilterOption[];
  readonly portSet: PortSetOption | null;
  /** TLS names as they were written. */
  readonly names: readonly string[];
  readonly thirdParty: ThirdPartyOption | null;
}

const malformed = (message: string): MalformedRequest => new MalformedRequest("MALFORMED_OPTION", message);

/**
 * RFC 6887 §7.3, in packet order. The contents of options that are not implemented are not looked at: a mandatory one is
 * refused, an optional one left out of the reply. `map` is null for ANNOUNCE.
 */
export function processOptions(
  header: PcpRequestHeader,
  bytes: Uint8Array,
  map: MapFields | null,
  { asksForOthers }: Pick<Standing, "asksForOthers">,
): MapOptions {
  let [preferFailure, portSet] = [false, null as PortSetOption | null];
  let thirdParty: ThirdPartyOption | null = null;
  const filters: FilterOption[] = [];
  const names: string[] = [];
  for (const raw of walkOptions(bytes, messageBytesMin(header.opcode) as number)) {
    const isKnown = map !== null && PROCESSED.has(raw.code) && (raw.code !== OPTION.thirdParty || asksForOthers);
    if (!isKnown && raw.code >= OPTIONAL_FROM) continue;
    if (!isKnown) throw new MalformedRequest("UNSUPP_OPTION", `option ${raw.code} is not supported here`);
    // RFC 7753 §4.2 has it checked in requests that map: in a delete it says nothing.
    if (raw.code === OPTION.portSet && header.lifetime === 0) continue;
    const option = decodeOption(raw);
    if (option.kind === "filter") filters.push(checkedFilter(option, header));
    else if (option.kind === "port-set") portSet = checkedPortSet(option, portSet);
    else if (option.kind === "third-party") {
      // RFC 6887 §13.1: at most once.
      if (thirdParty !== null) throw malformed("THIRD_PARTY appears twice");
      thirdParty = option;
    } else if (raw.code === OPTION.hostname) names.push(hostnameOf(option));
    else preferFailure = checkPreferFailure(preferFailure, header, map);
  }
  if (preferFailure && portSet !== null) throw malformed("PREFER_FAILURE makes no sense with PORT_SET");
  // draft-start9-pcp-hostname: a name is one port's.
  if (names.length > 0 && portSet !== null) throw malformed("HOSTNAME makes no sense with PORT_SET");
  return { preferFailure, filters, portSet, names, thirdParty };
}

const PROCESSED: ReadonlySet<number> = new Set([
  OPTION.thirdParty,
  OPTION.preferFailure,
  OPTION.filter,
  OPTION.portSet,
  OPTION.hostname,
]);

/** A whole port is more than somebody wants who named something that is no name. */
function hostnameOf(option: PcpOption): string {
  if (option.kind === "hostname") return option.hostname;
  throw new MalformedRequest("UNSUPP_HOSTNAME", "HOSTNAME is no printable name of up to 253 octets");
}

/** RFC 7753 §4.2. */
function checkedPortSet(option: PortSetOption, before: PortSetOption | null): PortSetOption {
  if (before !== null) throw malformed("PORT_SET appears twice");
  if (option.size === 0) throw malformed("PORT_SET of no port");
  return option;
}

/** RFC 6887 §13.2 has it at most once and with something to insist on, §15.1 not in a delete. */
function checkPreferFailure(before: boolean, { lifetime }: PcpRequestHeader, { externalPort }: MapFields): true {
  if (before) throw malformed("PREFER_FAILURE appears twice");
  if (lifetime === 0) throw malformed("PREFER_FAILURE makes no sense in a delete");
  if (externalPort === 0) throw malformed("PREFER_FAILURE without a suggested external port");
  return true;
}

/** RFC 6887 §13.3: not in a delete. Peers of another family never come by this mapping. */
function checkedFilter(option: FilterOption, { lifetime, clientAddress }: PcpRequestHeader): FilterOption {
  if (lifetime === 0) throw malformed("FILTER makes no sense in a delete");
  const isIpv4 = (address: string): boolean => parseIpv4(address) !== null;
  if (option.prefixLength !== 0 && isIpv4(option.remoteAddress) !== isIpv4(clientAddress)) {
    throw malformed(`FILTER names ${option.remoteAddress}, and the mapping is not of that family`);
  }
  return option;
}

/** RFC 6887 §5: an IPv4 prefix stands behind 96 bits. */
const IPV4_FROM = 96;

export function filterAsked({ prefixLength, remotePort, remoteAddress }: FilterOption): Filter | "clear" {
  if (prefixLength === 0) return "clear";
  const port = remotePort === 0 ? null : remotePort;
  const groups = parseIpv6(remoteAddress);
  if (groups !== null) return { prefix: ipv6Network({ groups, length: prefixLength }), port };
  const length = prefixLength - IPV4_FROM;
  const address = parseIpv4(remoteAddress) as number;
  return { prefix: prefixText({ address, length }), port };
}

/** What a Mapping Update says of a filter (RFC 6887 §14.2). */
export function filterOption({ prefix, port }: Filter): FilterOption {
  const ipv4 = parseIpv4Prefix(prefix);
  const length = ipv4 === null ? parseIpv6Prefix(prefix)?.length : IPV4_FROM + ipv4.length;
  assert(length !== undefined, `${prefix} is no network`);
  const [prefixLength, remoteAddress] = [length, withoutLength(prefix)];
  return { kind: "filter", prefixLength, remotePort: port ?? 0, remoteAddress };
}

/** And of a name: without it the client would take it for word of its whole port. */
export function nameOption({ name }: { name: string | null }): HostnameOption[] {
  return name === null ? [] : [{ kind: "hostname", hostname: name }];
}

/** And of a host in whose place another asked (RFC 6887 §13.1). */
export function thirdPartyOption(internalAddress: string, asker: string): ThirdPartyOption[] {
  return internalAddress === asker ? [] : [{ kind: "third-party", address: internalAddress }];
}

/** And of a set of ports (RFC 7753 §4.4). */
export function setOption({ internalPort, count }: { internalPort: number; count: number }): PortSetOption[] {
  return count === 1 ? [] : [{ kind: "port-set", size: count, firstInternalPort: internalPort, parity: false }];
}
