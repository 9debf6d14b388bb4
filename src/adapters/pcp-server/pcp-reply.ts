import type { MapFields } from "../../protocols/pcp/body.ts";
import { CAPABILITY_SNI, OPTION } from "../../protocols/pcp/constants.ts";
import type { PcpOption } from "../../protocols/pcp/option.ts";
import { ANY_IPV4 } from "../../protocols/pcp/address.ts";
import { encodeError, encodeSuccess, encodeUnaskedError } from "../../protocols/pcp/response.ts";
import { errorLifetimeSec, type PcpErrorName } from "../../protocols/pcp/result.ts";
import type { Answer, Outcome, Refusal } from "../../reducers/decide/command.ts";
import type { Reply, Standing } from "./exchange.ts";
import type { Claim } from "../../events/mapping.ts";
import type { Mapping } from "../../reducers/state.ts";
import { filterOption, type MapOptions, nameOption, setOption, thirdPartyOption } from "./pcp-options.ts";
import { pcpResultOf } from "./refusal-results.ts";

const PREFER_FAILURE = { kind: "prefer-failure" } as const;
const CAPABILITY = { kind: "opaque", code: OPTION.capability, data: CAPABILITY_SNI } as const;

type Mapped = Extract<Answer, { kind: "mapped" }>;

/** A MAP request that passed all checks of form. */
export interface AskedMap {
  readonly map: MapFields;
  /** The datagram: an error is the request sent back. */
  readonly request: Uint8Array;
  readonly options: MapOptions;
}

/** RFC 6887 §14.1.1. */
export function announceReply({ epoch, sniAvailable }: Standing): Reply {
  const options = sniAvailable ? [CAPABILITY] : [];
  const bytes = encodeSuccess({ lifetime: 0, epoch, body: { kind: "announce" }, options });
  return { bytes, decision: "answered", code: null, message: `epoch ${epoch}` };
}

/** RFC 6887 §11.3: only processed options come back; real clients insist on exactly 60 octets. */
export function mapReply({ map, request, options }: AskedMap, outcome: Outcome, epoch: number): Reply {
  if (!outcome.ok) return refusalReply(request, outcome.refusal, epoch);
  const { answer, changed } = outcome;
  if (answer.kind !== "mapped") {
    // RFC 6887 §15.1: the suggested fields of a delete are ignored and copied.
    const bytes = encodeSuccess({ lifetime: 0, epoch, body: { kind: "map", ...map }, options: copied(options) });
    return { bytes, decision: "released", code: null, message: changed ? "released" : "there was nothing to release" };
  }
  const { externalAddress, externalPort, lifetime } = answer;
  const body = { kind: "map", ...map, externalAddress, externalPort } as const;
  const bytes = encodeSuccess({ lifetime, epoch, body, options: processed(options, answer) });
  const last = answer.set === undefined ? "" : `-${externalPort + answer.set.count - 1}`;
  const message = `external ${externalAddress}:${externalPort}${last} for ${lifetime} s`;
  return { bytes, decision: changed ? "granted" : "renewed", code: null, message };
}

/** RFC 7753 §4.2: where one port was mapped, for whatever reason, the reply has no PORT_SET. */
function processed(asked: MapOptions, { externalPort, set }: Mapped): PcpOption[] {
  const { preferFailure, filters, portSet } = asked;
  const options = [...(preferFailure ? [PREFER_FAILURE] : []), ...filters, ...copied(asked)];
  if (portSet === null || set === undefined) return options;
  const { firstInternalPort, count: size } = set;
  const parity = portSet.parity && (externalPort - firstInternalPort) % 2 === 0;
  return [...options, { kind: "port-set", size, firstInternalPort, parity }];
}

/** Each as it was written: clients tell by it that the server knows of names, and for whom it was (RFC 6887 §13.1). */
const copied = ({ names, thirdParty }: MapOptions): PcpOption[] => [
  ...(thirdParty === null ? [] : [thirdParty]),
  ...names.map((hostname) => ({ kind: "hostname", hostname }) as const),
];

interface UpdateMoment {
  /** The external address now. */
  readonly address: string;
  readonly epoch: number;
  /** Seconds that the claim has left. */
  readonly lifetime: number;
}

/**
 * RFC 6887 §14.2, of a mapping whose external side is another: the reply that the client would get now. Of what it insists on
 * that is an error (§13.2). The claim goes on until its end: the client may take what there is instead.
 */
export function mappingUpdate(
  mapping: Mapping,
  { nonce, device, filters, insistsOn }: Claim & { readonly nonce: string; readonly device: string },
  { address, epoch, lifetime }: UpdateMoment,
): Uint8Array {
  const { internalPort, externalPort } = mapping;
  const protocol = mapping.protocol === "tcp" ? 6 : 17;
  const body = { kind: "map", nonce, protocol, internalPort, externalPort, externalAddress: address } as const;
  const whose = thirdPartyOption(mapping.internalAddress, device);
  const options = [...whose, ...filters.map(filterOption), ...setOption(mapping), ...nameOption(mapping)];
  const isMet =
    insistsOn === undefined || (insistsOn.port === externalPort && [null, address].includes(insistsOn.address));
  if (isMet) return encodeSuccess({ lifetime, epoch, body, options });
  const suggested = { ...body, externalPort: insistsOn.port, externalAddress: insistsOn.address ?? ANY_IPV4 };
  const error = { ...pcpResultOf("CANNOT_PROVIDE_EXTERNAL"), epoch };
  return encodeUnaskedError(suggested, [PREFER_FAILURE, ...options], error);
}

/** What the controller refused. */
export function refusalReply(request: Uint8Array, { code, message, retryAfter }: Refusal, epoch: number): Reply {
  const { result, lifetime } = pcpResultOf(code, retryAfter);
  const bytes = encodeError(request, { result, lifetime, epoch });
  return { bytes, decision: "refused", code, message: `${result} for ${lifetime} s: ${message}` };
}

/** What the request's own form calls for, whoever sent it. */
export function malformedReply(request: Uint8Array, result: PcpErrorName, message: string, epoch: number): Reply {
  const bytes = encodeError(request, { result, lifetime: errorLifetimeSec(result), epoch });
  return { bytes, decision: "refused", code: "INVALID_REQUEST", message: `${result}: ${message}` };
}
