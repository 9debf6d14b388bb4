import { NatPmpDecodeError } from "../../protocols/natpmp/error.ts";
import { decodeNatPmpRequest, type NatPmpRequest } from "../../protocols/natpmp/request.ts";
import {
  encodeNatPmpAddress,
  encodeNatPmpMap,
  encodeNatPmpOpcodeError,
  encodeNatPmpVersionError,
} from "../../protocols/natpmp/response.ts";
import type { MapRequest, Outcome, Refusal, UnmapRequest } from "../../reducers/decide/command.ts";
import { type Answer, type Datagram, NOT_READY, portText, type Reply, type Standing } from "./exchange.ts";
import { natPmpResultOf } from "./refusal-results.ts";

type NatPmpMap = Extract<NatPmpRequest, { kind: "map" }>;

const NO_ADDRESS: Refusal = { code: "NO_EXTERNAL_ADDRESS", message: "the WAN has no public address yet" };

/** A version 0 request: RFC 6886 §3.2 to §3.5. */
export function answerNatPmp(datagram: Datagram, standing: Standing): Answer {
  const { bytes } = datagram;
  const { epoch, ready } = standing;
  try {
    const asked = decodeNatPmpRequest(bytes);
    if (asked.kind === "address") {
      return { kind: "reply", protocol: "natpmp", request: "external address", reply: addressReply(standing) };
    }
    const request = describe(asked);
    const malformed = refusalOfForm(asked);
    const refusal = malformed ?? (ready ? null : { code: "NOT_READY", message: NOT_READY });
    if (refusal !== null) {
      return { kind: "reply", protocol: "natpmp", request, reply: refusalReply(asked, refusal, epoch) };
    }
    const command = commandOf(asked, datagram);
    return { kind: "ask", protocol: "natpmp", request, command, replyTo: (...said) => mapReply(asked, ...said) };
  } catch (cause) {
    if (!(cause instanceof NatPmpDecodeError)) throw cause;
    const { reason, message } = cause;
    const request = "NAT-PMP request";
    if (reason === "drop") return { kind: "drop", protocol: "natpmp", request, message };
    const encoded =
      reason === "UNSUPPORTED_VERSION" ? encodeNatPmpVersionError(epoch) : encodeNatPmpOpcodeError(bytes, epoch);
    const reply: Reply = { bytes: encoded, decision: "refused", code: "INVALID_REQUEST", message };
    return { kind: "reply", protocol: "natpmp", request, reply };
  }
}

/** RFC 6886 §3.2; §3.5 has the failure carry 0.0.0.0. */
function addressReply({ ready, externalAddress, epoch }: Standing): Reply {
  if (ready && externalAddress !== null) {
    const bytes = encodeNatPmpAddress("SUCCESS", epoch, externalAddress);
    return { bytes, decision: "answered", code: null, message: `external address ${externalAddress}` };
  }
  const { code, message }: Refusal = ready ? NO_ADDRESS : { code: "NOT_READY", message: NOT_READY };
  const bytes = encodeNatPmpAddress(natPmpResultOf(code), epoch, "0.0.0.0");
  return { bytes, decision: "refused", code, message };
}

/** RFC 6886 §3.4: internal port 0 deletes all, and only with external port 0 as well. */
function refusalOfForm({ internalPort, suggestedPort, lifetime }: NatPmpMap): Refusal | null {
  if (internalPort !== 0 || (lifetime === 0 && suggestedPort === 0)) return null;
  return { code: "INVALID_REQUEST", message: "internal port 0 is only for deleting all, with external port 0" };
}

function commandOf(asked: NatPmpMap, datagram: Datagram): MapRequest | UnmapRequest {
  const { interface: served, address: device, port: clientPort } = datagram;
  const { internalPort, suggestedPort, lifetime } = asked;
  const protocol = asked.protocol === "tcp" ? 6 : 17;
  const common = { by: "natpmp", interface: served, device, protocol, internalPort, nonce: null } as const;
  if (lifetime === 0) return { type: "unmap", ...common };
  const suggestion = { suggestedPort, suggestedAddress: null, preferFailure: false, filters: [], portSet: null };
  return { type: "map", ...common, ...suggestion, clientPort, lifetime };
}

function mapReply(asked: NatPmpMap, outcome: Outcome, epoch: number): Reply {
  if (!outcome.ok) return refusalReply(asked, outcome.refusal, epoch);
  const { answer, changed } = outcome;
  const { protocol, internalPort } = asked;
  if (answer.kind === "done" && answer.kept !== undefined) return refusalReply(asked, keptRefusal(answer.kept), epoch);
  if (answer.kind !== "mapped") {
    // RFC 6886 §3.4: external port and lifetime 0, also if nothing was there.
    const bytes = encodeNatPmpMap("SUCCESS", epoch, { protocol, internalPort, externalPort: 0, lifetime: 0 });
    return { bytes, decision: "released", code: null, message: changed ? "released" : "there was nothing to release" };
  }
  const { externalAddress, externalPort, lifetime } = answer;
  const bytes = encodeNatPmpMap("SUCCESS", epoch, { protocol, internalPort, externalPort, lifetime });
  const message = `external ${externalAddress}:${externalPort} for ${lifetime} s`;
  return { bytes, decision: changed ? "granted" : "renewed", code: null, message };
}

/** RFC 6886 §3.4: what could be deleted is gone, and the result is still not success. */
function keptRefusal(kept: readonly string[]): Refusal {
  const message = `an operator's mappings stay (${kept.join(", ")}); all others of this device are released`;
  return { code: "NOT_AUTHORIZED", message };
}

/** RFC 6886 §3.4 and §3.5: a failed delete names the mapping it was for, a failed mapping has no external port. */
function refusalReply(asked: NatPmpMap, { code, message }: Refusal, epoch: number): Reply {
  const { protocol, internalPort } = asked;
  const externalPort = asked.lifetime === 0 ? asked.suggestedPort : 0;
  const result = natPmpResultOf(code);
  const bytes = encodeNatPmpMap(result, epoch, { protocol, internalPort, externalPort, lifetime: 0 });
  return { bytes, decision: "refused", code, message: `${result}: ${message}` };
}

function describe({ protocol, internalPort, suggestedPort, lifetime }: NatPmpMap): string {
  const what = `${protocol} ${portText(internalPort, "all")}`;
  return lifetime === 0 ? `delete ${what}` : `map ${what} → ${portText(suggestedPort, "any")} for ${lifetime} s`;
}
