import { mapClaim } from "../../events/claim-key.ts";
import type { Transport } from "../../events/fields.ts";
import { event } from "../../events/index.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import { pinholesTo } from "../pinholes.ts";
import { mappingsTo } from "../port-index.ts";
import { servedInterface, siteOf } from "../served.ts";
import type { Mapping, State } from "../state.ts";
import { heldBy } from "../usage.ts";
import type { CommandEnvelope, Decision, UnmapRequest } from "./command.ts";
import type { Deadlines } from "../deadlines.ts";
import { inTheirPlace } from "./in-their-place.ts";
import { remaining } from "./lease-terms.ts";
import { transportOf } from "./map.ts";
import { serverNames } from "./map-names.ts";
import { heldByOperatorAlone, operatorHolds } from "../operator-holds.ts";
import { accept, refuse } from "./refusal.ts";

/** A device gives a port back, or all of a protocol's, or all: its own claims by this protocol (and nonce), nothing else. */
export function decideUnmap(asked: CommandEnvelope & UnmapRequest, state: State, deadlines: Deadlines): Decision {
  const command = inTheirPlace(asked, state);
  if ("code" in command) return { ok: false, refusal: command };
  const served = servedInterface(state, command.interface);
  if (served === undefined) return refuse("NOT_AUTHORIZED", `${command.interface} is not a served interface`);
  const protocol = command.protocol === 0 ? null : transportOf(command.protocol);
  if (protocol === null && command.protocol !== 0) {
    return refuse(
      "UNSUPPORTED_PROTOCOL",
      `IANA protocol ${command.protocol} cannot be mapped, so nothing of it exists`,
    );
  }
  const key = mapClaim(command);
  const wanted = command.names === undefined ? null : serverNames(command.names);
  if (command.names !== undefined && (wanted === null || protocol !== "tcp")) {
    return refuse("HOSTNAME_UNSUPPORTED", "only TCP ports are led to by TLS name, and not all of these are TLS names");
  }
  const leading =
    command.internalPort === 0
      ? ofDevice(state, command, protocol)
      : mappingsTo(state, command.device, protocol as Transport, command.internalPort);
  const isMeant = ({ name }: Mapping): boolean => (name === null ? wanted === null : wanted?.includes(name) === true);
  const mappings = wanted === null && command.internalPort === 0 ? leading : leading.filter(isMeant);
  const mine = mappings.filter((mapping) => mapping.claims.some((claim) => claim.key === key));
  if (mine.length === 0 && command.internalPort !== 0) {
    const refusal = notMine(command, mappings, served.nonce, deadlines);
    if (refusal !== null) return refusal;
  }
  // RFC 6887 §15.1, RFC 6886 §3.4: deleting what is not there succeeds.
  const released = mine.map((mapping) =>
    event("lease.released", { mappingId: mapping.id, claimKey: key, reason: "client" }),
  );
  // RFC 6886 §3.4: a delete of all that cannot delete all is to say so.
  const wantsAllGone = command.by === "natpmp" && command.internalPort === 0 && protocol !== null;
  const kept = wantsAllGone ? operatorHolds(state, command.device, protocol) : [];
  return accept(released, { kind: "done", ...(kept.length > 0 && { kept }) });
}

/** Why a mapping that is there may not be deleted by this request; null if it is simply not the requester's business. */
function notMine(
  command: CommandEnvelope & UnmapRequest,
  mappings: readonly Mapping[],
  nonceRule: "strict" | "same-host",
  deadlines: Deadlines,
): Decision | null {
  const byOperator = mappings.find(heldByOperatorAlone);
  if (byOperator !== undefined) {
    return refuse("NOT_AUTHORIZED", `an operator made this mapping (${byOperator.id}); only an operator removes it`);
  }
  const byOtherNonce = mappings.find((mapping) => mapping.claims.some((claim) => claim.source === "pcp"));
  if (command.by === "pcp" && nonceRule === "strict" && byOtherNonce !== undefined) {
    const message = "another PCP nonce holds this mapping";
    return refuse("NONCE_MISMATCH", message, { retryAfter: remaining({ command, deadlines }, byOtherNonce, "pcp") });
  }
  return null;
}

function ofDevice(state: State, { interface: served, device }: UnmapRequest, protocol: Transport | null): Mapping[] {
  const site = siteOf(state, served);
  const mappings = isIpv6(device)
    ? pinholesTo(state, device)
    : heldBy(state, site, device).filter(({ internalAddress }) => internalAddress === device);
  const isThere = ({ interface: name }: Mapping): boolean => name !== null && siteOf(state, name) === site;
  return mappings.filter((mapping) => isThere(mapping) && (protocol === null || mapping.protocol === protocol));
}
