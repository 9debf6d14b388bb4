import { MESSAGE_OCTETS_MAX, OPCODE, UDP_OCTETS_MAX, UDP_OCTETS_MIN } from "../../../../protocols/dns/constants.ts";
import type { DnsRecord, Edns, EdnsOption, Header, Message } from "../../../../protocols/dns/message.ts";

export interface ReplyContent {
  readonly rcode: number;
  readonly authoritative?: boolean;
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
  readonly options?: readonly EdnsOption[];
}

/** The answer to a message that could be decoded. What its header bits say follows RFC 1035 §4.1.1 and RFC 2136 §2.2. */
export function replyTo(request: Message, content: ReplyContent): Message {
  const isUpdate = request.opcode === OPCODE.UPDATE;
  return {
    id: request.id,
    response: true,
    opcode: request.opcode,
    authoritative: content.authoritative ?? false,
    truncated: false,
    recursionDesired: !isUpdate && request.recursionDesired,
    recursionAvailable: !isUpdate,
    authenticData: false,
    checkingDisabled: !isUpdate && request.checkingDisabled,
    rcode: content.rcode,
    // An error has the question too, so that a client knows what of; of two nobody knows.
    questions: request.questions.length > 1 ? [] : request.questions,
    answers: content.answers ?? [],
    authorities: content.authorities ?? [],
    additionals: [],
    edns: ednsFor(request.edns, content.options ?? []),
  };
}

/** To what could not be decoded: there is a header, and nothing else to go by. */
export function errorTo(header: Header, rcode: number): Message {
  const isUpdate = header.opcode === OPCODE.UPDATE;
  return {
    ...header,
    recursionDesired: !isUpdate && header.recursionDesired,
    checkingDisabled: !isUpdate && header.checkingDisabled,
    response: true,
    authoritative: false,
    truncated: false,
    authenticData: false,
    recursionAvailable: false,
    rcode,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
  };
}

/** RFC 6891 §6.1.1: an OPT record exactly for one. Options are answered by none that we do not know. */
function ednsFor(asked: Edns | null, options: readonly EdnsOption[]): Edns | null {
  if (asked === null) return null;
  return { udpOctets: UDP_OCTETS_MAX, version: 0, dnssecOk: asked.dnssecOk, options };
}

/** How long an answer may be. */
export function limitOf(transport: "udp" | "tcp", edns: Edns | null): number {
  if (transport === "tcp") return MESSAGE_OCTETS_MAX;
  return Math.min(edns?.udpOctets ?? UDP_OCTETS_MIN, UDP_OCTETS_MAX);
}
