import { isIpv6 } from "../../lib/ipv6.ts";
import { NATPMP_VERSION } from "../../protocols/natpmp/request.ts";
import { encodeNatPmpVersionError } from "../../protocols/natpmp/response.ts";
import { PCP_VERSION, RESPONSE_BIT } from "../../protocols/pcp/constants.ts";
import type { Answer, Datagram, Reply, Standing } from "./exchange.ts";
import { answerNatPmp } from "./natpmp-answer.ts";
import { answerPcp } from "./pcp-answer.ts";

/**
 * Pure: what a datagram calls for. The first octet says which protocol it is (RFC 6887 §9, RFC 6886 §3.5): 0 is
 * NAT-PMP, all else PCP, and what is switched off is answered as an unsupported version by the one that is on.
 */
export function answer(datagram: Datagram, standing: Standing): Answer {
  const [version, second] = datagram.bytes;
  // NAT-PMP is of IPv4: over IPv6 there is one protocol.
  const ipv6 = isIpv6(datagram.address);
  const protocol = version === NATPMP_VERSION && !ipv6 ? "natpmp" : "pcp";
  const drop = (message: string): Answer => ({ kind: "drop", protocol, request: "unreadable datagram", message });
  if (version === undefined || second === undefined) return drop("less than 2 octets");
  if ((second & RESPONSE_BIT) !== 0) return drop("a response, not a request");
  if (version === NATPMP_VERSION && standing.natpmp && !ipv6) return answerNatPmp(datagram, standing);
  if (standing.pcp) return answerPcp(datagram, standing);
  if (!standing.natpmp || ipv6) return drop("port control is switched off");
  const message =
    version === PCP_VERSION ? "PCP is switched off here: unsupported version" : `version ${version} is not supported`;
  const bytes = encodeNatPmpVersionError(standing.epoch);
  const reply: Reply = { bytes, decision: "refused", code: "INVALID_REQUEST", message };
  return { kind: "reply", protocol: "natpmp", request: `version ${version} request`, reply };
}
