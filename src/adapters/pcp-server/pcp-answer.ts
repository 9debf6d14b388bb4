import { assert } from "../../lib/assert.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import { ANY_IPV4, ANY_IPV6 } from "../../protocols/pcp/address.ts";
import { type MapFields, messageBytesMin } from "../../protocols/pcp/body.ts";
import { OPCODE } from "../../protocols/pcp/constants.ts";
import { PcpDecodeError } from "../../protocols/pcp/error.ts";
import { decodeRequestBody, decodeRequestHeader, type PcpRequestHeader } from "../../protocols/pcp/request.ts";
import type { MapRequest, UnmapRequest } from "../../reducers/decide/command.ts";
import {
  type Answer,
  type Datagram,
  NOT_READY,
  portText,
  protocolText,
  type Reply,
  type Standing,
} from "./exchange.ts";
import { filterAsked, MalformedRequest, type MapOptions, processOptions } from "./pcp-options.ts";
import { announceReply, type AskedMap, malformedReply, mapReply, refusalReply } from "./pcp-reply.ts";

/** A request of any version but NAT-PMP's, checked in the order of RFC 6887 §8.2. */
export function answerPcp(datagram: Datagram, standing: Standing): Answer {
  const { bytes } = datagram;
  let request = "PCP request";
  const replied = (reply: Reply): Answer => ({ kind: "reply", protocol: "pcp", request, reply });
  try {
    const header = decodeRequestHeader(bytes);
    request = describeOpcode(header.opcode);
    checkOpcode(header, datagram);
    const body = decodeRequestBody(header.opcode, bytes);
    if (body.kind === "map") request = describeMap(body, header.lifetime);
    const options = processOptions(header, bytes, body.kind === "map" ? body : null, standing);
    request += describeOptions(options);
    if (body.kind === "map") checkMap(body);
    if (!standing.ready) {
      return replied(refusalReply(bytes, { code: "NOT_READY", message: NOT_READY }, standing.epoch));
    }
    if (body.kind === "announce") return replied(announceReply(standing));
    assert(body.kind === "map", "no other opcode is served");
    if (options.names.length > 0) request = `${request} of ${options.names.join(", ")}`;
    const asked: AskedMap = { map: body, request: bytes, options };
    const command = commandOf(asked, header, datagram);
    return { kind: "ask", protocol: "pcp", request, command, replyTo: (...said) => mapReply(asked, ...said) };
  } catch (cause) {
    if (cause instanceof PcpDecodeError) {
      if (cause.reason === "drop") return { kind: "drop", protocol: "pcp", request, message: cause.message };
      return replied(malformedReply(bytes, cause.reason, cause.message, standing.epoch));
    }
    if (!(cause instanceof MalformedRequest)) throw cause;
    return replied(malformedReply(bytes, cause.result, cause.message, standing.epoch));
  }
}

/** The address is compared for every opcode, before it is looked at. What is not served has no length to judge by. */
function checkOpcode({ opcode, clientAddress }: PcpRequestHeader, { bytes, address }: Datagram): void {
  const served = opcode === OPCODE.announce || opcode === OPCODE.map;
  if (served && bytes.length < (messageBytesMin(opcode) as number)) {
    throw new MalformedRequest("MALFORMED_REQUEST", `${bytes.length} octets are too short for opcode ${opcode}`);
  }
  if (clientAddress !== address) {
    const message = `the client says it is ${clientAddress} but sends from ${address}; is there a NAT between?`;
    throw new MalformedRequest("ADDRESS_MISMATCH", message);
  }
  if (!served) throw new MalformedRequest("UNSUPP_OPCODE", `opcode ${opcode} is not supported`);
}

function checkMap({ protocol, internalPort }: MapFields): void {
  // RFC 6887 §11.1: all protocols have no port in common.
  if (protocol !== 0 || internalPort === 0) return;
  throw new MalformedRequest("MALFORMED_REQUEST", `internal port ${internalPort} of all protocols`);
}

function commandOf(
  { map, options }: AskedMap,
  { lifetime }: PcpRequestHeader,
  datagram: Datagram,
): MapRequest | UnmapRequest {
  const { protocol, internalPort, nonce, externalAddress } = map;
  const { interface: served, address: device, port: clientPort } = datagram;
  const common = { by: "pcp", interface: served, device, protocol, internalPort, nonce } as const;
  const named = {
    ...(options.names.length > 0 && { names: options.names }),
    ...(options.thirdParty !== null && { thirdParty: options.thirdParty.address }),
  };
  if (lifetime === 0) return { type: "unmap", ...common, ...named };
  return {
    type: "map",
    ...common,
    ...named,
    clientPort,
    suggestedPort: map.externalPort,
    suggestedAddress: isAny(externalAddress, options.thirdParty?.address ?? device) ? null : externalAddress,
    lifetime,
    preferFailure: options.preferFailure,
    filters: options.filters.map(filterAsked),
    portSet: options.portSet === null ? null : { size: options.portSet.size, parity: options.portSet.parity },
  };
}

/**
 * RFC 6887 §11.1: whoever has no preference writes the all-zeros address of a family. `::` is also what a field is that was
 * left empty; IPv4's names a family on purpose, that no pinhole has outside.
 */
const isAny = (suggested: string, internal: string): boolean =>
  suggested === ANY_IPV6 || (suggested === ANY_IPV4 && !isIpv6(internal));

function describeOpcode(opcode: number): string {
  const name = Object.entries(OPCODE).find(([, code]) => code === opcode)?.[0];
  return name === undefined ? `opcode ${opcode}` : name.toUpperCase();
}

function describeMap(map: MapFields, lifetime: number): string {
  const what = `${protocolText(map.protocol)} ${portText(map.internalPort, "all")}`;
  if (lifetime === 0) return `MAP delete ${what}`;
  return `MAP ${what} → ${portText(map.externalPort, "any")} for ${lifetime} s`;
}

function describeOptions({ filters, portSet, thirdParty }: MapOptions): string {
  const whose = thirdParty === null ? "" : ` in the place of ${thirdParty.address}`;
  const peers = filters.length === 0 ? "" : `, ${filters.length === 1 ? "a filter" : `${filters.length} filters`}`;
  return portSet === null ? `${whose}${peers}` : `${whose}${peers}, a set of ${portSet.size}`;
}
