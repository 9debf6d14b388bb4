import type { Claim } from "../../events/mapping.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import { tableRows } from "../../lib/table.ts";
import { mayAskFor } from "../delegation.ts";
import { servedInterface } from "../served.ts";
import type { Device, Mapping, State } from "../state.ts";
import { registered } from "./admission.ts";
import type { Refusal } from "./command.ts";
import { servedInterfaceOf, unfitHost } from "./served-place.ts";

interface Asked {
  readonly interface: string;
  readonly device: string;
  readonly thirdParty?: string;
}

/** `askedBy`: who sent it, where that is another than the device that it is for. */
export type InTheirPlace<T> = T & { readonly askedBy?: string };

/**
 * A request with THIRD_PARTY (RFC 6887 §13.1) as if the host that it is for had sent it, with its rights and within its
 * quota. Any other request as it is.
 */
export function inTheirPlace<T extends Asked>(command: T, state: State): InTheirPlace<T> | Refusal {
  const { thirdParty, device: askedBy } = command;
  if (thirdParty === undefined) return command;
  const served = servedInterface(state, command.interface);
  const asker = served === undefined ? undefined : registered(state, served, askedBy);
  if (asker === undefined || asker.mapsFor.length === 0) return notDelegated(askedBy, thirdParty, asker);
  // RFC 6887 §13.1: a server that takes the option must not take it for the sender itself.
  if (thirdParty === askedBy) {
    return { code: "INVALID_REQUEST", message: `THIRD_PARTY names ${askedBy}, which sent it: it is not needed` };
  }
  if (!mayAskFor(asker, thirdParty)) return notDelegated(askedBy, thirdParty, asker);
  const site = servedInterfaceOf(state, thirdParty);
  if (site === null || unfitHost(state, thirdParty) !== null)
    return { code: "NOT_AUTHORIZED", message: `${thirdParty} is no host of a served network` };
  return { ...command, interface: site, device: thirdParty, askedBy };
}

function notDelegated(sender: string, address: string, asker: Device | undefined): Refusal {
  const name = asker?.name ?? sender;
  const remedy =
    asker === undefined
      ? "only a registered device can be let do so"
      : asker.ports === "off"
        ? `it may open no ports; \`portreeve device allow ${name} ports\` lets it`
        : `\`portreeve device edit ${name} --maps-for ${address}\` lets it`;
  return { code: "NOT_DELEGATED", message: `${name} may not ask for ports of ${address}: ${remedy}` };
}

/** Claims that a device made in the place of other hosts. */
function* claimsForOthers(state: State, { address }: Device): Generator<{ mapping: Mapping; claim: Claim }> {
  for (const mapping of tableRows(state.mappings)) {
    if (mapping.internalAddress === address) continue;
    for (const claim of mapping.claims) if (claim.device === address) yield { mapping, claim };
  }
}

/** Ends what a device asked for in the place of others and may no more, now that it is `after`; null: it is gone. */
export function releaseForOthers(state: State, before: Device, after: Device | null): PortreeveEvent[] {
  if (before.mapsFor.length === 0) return [];
  // Two LANs may have one address twice: what its other device may ask for stays.
  const others = [...tableRows(state.devices)].filter(
    ({ id, address }) => id !== before.id && address === before.address,
  );
  const left = after !== null && after.address === before.address ? [after, ...others] : others;
  const stays = (address: string): boolean => left.some((device) => mayAskFor(device, address));
  return [...claimsForOthers(state, before)].flatMap(({ mapping, claim }) =>
    stays(mapping.internalAddress)
      ? []
      : [event("lease.released", { mappingId: mapping.id, claimKey: claim.key, reason: "operator" })],
  );
}

/** Of several devices that go together one may have asked for what leads to another: each claim ends once. */
export function eachClaimOnce(events: readonly PortreeveEvent[]): PortreeveEvent[] {
  const ended = new Set<string>();
  return events.filter(({ type, data }) => {
    if (type !== "lease.released") return true;
    const claim = `${data.mappingId} ${data.claimKey}`;
    const isFirst = !ended.has(claim);
    ended.add(claim);
    return isFirst;
  });
}
