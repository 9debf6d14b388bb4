import {
  attribute,
  attributeUint16,
  attributeUint32,
  attributeUint8,
  endOf,
  findAttribute,
  lengthOf,
  message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  offsetOf,
  uint16,
  uint32,
} from "./netlink-message.ts";

import { bytesOfWords, readWords, textOfWords, wordsOf } from "./address-words.ts";

/** Connection tracking over netlink: include/uapi/linux/netfilter/nfnetlink_conntrack.h. Pure. */

const CTNETLINK = 1 << 8;
const IPCTNL_MSG_CT_NEW = 0;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const IPCTNL_MSG_CT_GET_STATS = 5;
const AF_INET = 2;
const AF_INET6 = 10;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_MARK = 8;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const CTA_FILTER_F_IP_DST = 1 << 1;

const CTA_STATS_GLOBAL_ENTRIES = 1;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

/** include/uapi/linux/netfilter/nf_conntrack_common.h */
const IPS_SRC_NAT = 1 << 4;
const IPS_DST_NAT = 1 << 5;

/** Of IPv4 its number, of IPv6 its text. */
export type FlowAddress = number | string;

export interface Tuple {
  readonly source: FlowAddress;
  readonly destination: FlowAddress;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A tracked flow: how its first packet looked, and how an answer to it must look. */
export interface Flow {
  readonly original: Tuple;
  readonly reply: Tuple;
  readonly destinationNat: boolean;
  readonly sourceNat: boolean;
  readonly mark: number;
  readonly id: number;
  readonly zone: number;
}

/**
 * All flows whose destination in that direction is `address`. The kernel filters IPv4 since 5.8; an older one answers
 * with all, and whoever asks must look again.
 */
export function flowsRequest(direction: "original" | "reply", address: FlowAddress): Buffer {
  const [tuple, flags] =
    direction === "original" ? [CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS] : [CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS];
  // Kernels filter IPv6 the wrong way round, those that are equal out, so that all of them have to be looked at.
  const all = NLM_F_REQUEST | NLM_F_DUMP;
  if (typeof address === "string") return message(CTNETLINK | IPCTNL_MSG_CT_GET, all, AF_INET6, []);
  const wanted = Buffer.alloc(4);
  // Flags are in host order, unlike everything else here.
  wanted.writeUInt32LE(CTA_FILTER_F_IP_DST);
  return message(CTNETLINK | IPCTNL_MSG_CT_GET, all, AF_INET, [
    attribute(tuple, [attribute(CTA_TUPLE_IP, [attribute(CTA_IP_V4_DST, uint32(address))])]),
    attribute(CTA_FILTER, [attribute(flags, wanted)]),
  ]);
}

const familyOf = (address: FlowAddress): number => (typeof address === "string" ? AF_INET6 : AF_INET);

const sourceAttribute = (address: FlowAddress): Buffer =>
  typeof address === "string"
    ? attribute(CTA_IP_V6_SRC, bytesOfWords(wordsOf(address)))
    : attribute(CTA_IP_V4_SRC, uint32(address));

const destinationAttribute = (address: FlowAddress): Buffer =>
  typeof address === "string"
    ? attribute(CTA_IP_V6_DST, bytesOfWords(wordsOf(address)))
    : attribute(CTA_IP_V4_DST, uint32(address));

/** How many flows there are, without a walk over all of them. */
export function flowCountRequest(): Buffer {
  return message(CTNETLINK | IPCTNL_MSG_CT_GET_STATS, NLM_F_REQUEST | NLM_F_ACK, AF_INET, []);
}

export function decodeFlowCount(bytes: Buffer, start: number, end: number): number | null {
  return attributeUint32(bytes, start, end, CTA_STATS_GLOBAL_ENTRIES);
}

/** Named by tuple and id: a flow that took the place of this one is not touched. */
export function deleteFlowRequest(flow: Flow): Buffer {
  return message(
    CTNETLINK | IPCTNL_MSG_CT_DELETE,
    NLM_F_REQUEST | NLM_F_ACK,
    familyOf(flow.original.source),
    identity(flow),
  );
}

/** Sets the bits of `mark` and leaves the others. */
export function markFlowRequest(flow: Flow, mark: number): Buffer {
  return message(CTNETLINK | IPCTNL_MSG_CT_NEW, NLM_F_REQUEST | NLM_F_ACK, familyOf(flow.original.source), [
    ...identity(flow),
    attribute(CTA_MARK, uint32(mark)),
    attribute(CTA_MARK_MASK, uint32(mark)),
  ]);
}

function identity({ original, id, zone }: Flow): Buffer[] {
  const attributes = [
    attribute(CTA_TUPLE_ORIG, [
      attribute(CTA_TUPLE_IP, [sourceAttribute(original.source), destinationAttribute(original.destination)]),
      attribute(CTA_TUPLE_PROTO, [
        attribute(CTA_PROTO_NUM, Buffer.of(original.protocol)),
        attribute(CTA_PROTO_SRC_PORT, uint16(original.sourcePort)),
        attribute(CTA_PROTO_DST_PORT, uint16(original.destinationPort)),
      ]),
    ]),
    attribute(CTA_ID, uint32(id)),
  ];
  return zone === 0 ? attributes : [...attributes, attribute(CTA_ZONE, uint16(zone))];
}

/** Null for what has no ports. */
export function decodeFlow(bytes: Buffer, start: number, end: number): Flow | null {
  const original = decodeTuple(bytes, start, end, CTA_TUPLE_ORIG);
  const reply = decodeTuple(bytes, start, end, CTA_TUPLE_REPLY);
  const id = attributeUint32(bytes, start, end, CTA_ID);
  if (original === null || reply === null || id === null) return null;
  const status = attributeUint32(bytes, start, end, CTA_STATUS) ?? 0;
  return {
    original,
    reply,
    destinationNat: (status & IPS_DST_NAT) !== 0,
    sourceNat: (status & IPS_SRC_NAT) !== 0,
    mark: attributeUint32(bytes, start, end, CTA_MARK) ?? 0,
    id,
    zone: attributeUint16(bytes, start, end, CTA_ZONE) ?? 0,
  };
}

function addressIn(bytes: Buffer, ip: number, ipv4: number, ipv6: number): FlowAddress | null {
  const value = attributeUint32(bytes, offsetOf(ip), endOf(ip), ipv4);
  if (value !== null) return value;
  const found = findAttribute(bytes, offsetOf(ip), endOf(ip), ipv6);
  return found < 0 || lengthOf(found) < IPV6_BYTES ? null : textOfWords(readWords(bytes, offsetOf(found)));
}

const IPV6_BYTES = 16;

function decodeTuple(bytes: Buffer, start: number, end: number, type: number): Tuple | null {
  const tuple = findAttribute(bytes, start, end, type);
  if (tuple < 0) return null;
  const ip = findAttribute(bytes, offsetOf(tuple), endOf(tuple), CTA_TUPLE_IP);
  const proto = findAttribute(bytes, offsetOf(tuple), endOf(tuple), CTA_TUPLE_PROTO);
  if (ip < 0 || proto < 0) return null;
  const source = addressIn(bytes, ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  const destination = addressIn(bytes, ip, CTA_IP_V4_DST, CTA_IP_V6_DST);
  const protocol = attributeUint8(bytes, offsetOf(proto), endOf(proto), CTA_PROTO_NUM);
  const sourcePort = attributeUint16(bytes, offsetOf(proto), endOf(proto), CTA_PROTO_SRC_PORT);
  const destinationPort = attributeUint16(bytes, offsetOf(proto), endOf(proto), CTA_PROTO_DST_PORT);
  if (source === null || destination === null || protocol === null) return null;
  if (sourcePort === null || destinationPort === null) return null;
  return { source, destination, protocol, sourcePort, destinationPort };
}
