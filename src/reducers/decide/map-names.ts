import type { Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import { serverNameOf } from "../../lib/server-name.ts";
import { tableGet } from "../../lib/table.ts";
import { heldByOperatorAlone } from "../operator-holds.ts";
import { mappingNamed } from "../port-index.ts";
import { externalKey, type Mapping, type State } from "../state.ts";
import { admit, type Admitted } from "./admission.ts";
import type { Answer, CommandEnvelope, Decision, Refusal } from "./command.ts";
import type { Deadlines, Renewal } from "../deadlines.ts";
import { overQuota, tooOften } from "./device-limits.ts";
import { Draft } from "./draft.ts";
import { protection } from "./external-port.ts";
import { remaining, renewed, untilItEnds } from "./lease-terms.ts";
import { deviceGrant } from "./device-grant.ts";
import { accept, refuse } from "./refusal.ts";
import { nameHolder } from "../sharing.ts";

const TCP: Transport = "tcp";
/** "same-host" networks: nonces of one sender that may hold one mapping at once, as clients draw a new one each time. */
export const CLAIMS_PER_MAPPING_MAX = 4;

/** A device asks for TLS names of an external port, all of them or none. */
export interface NamesRequest {
  readonly interface: string;
  readonly device: string;
  readonly internalPort: number;
  /** Exactly this one: names make it possible to share it. */
  readonly externalPort: number;
  /** Null: any. */
  readonly suggestedAddress: string | null;
  readonly names: readonly string[];
  /** The claim that it makes, or renews, with a lifetime. */
  readonly claim: Claim & { readonly lifetime: number };
}

interface Asking {
  readonly command: CommandEnvelope & NamesRequest;
  readonly state: State;
  readonly deadlines: Deadlines;
  readonly admitted: Admitted;
}

export const UNAVAILABLE: Refusal = {
  code: "SNI_UNAVAILABLE",
  message: "HAProxy, which leads TLS names to their hosts, is missing: install the package haproxy (2.6 or newer)",
};

/** As they are kept, each once; null where one is no TLS name. */
export function serverNames(names: readonly string[]): string[] | null {
  const kept = names.map(serverNameOf);
  return kept.includes(null) ? null : [...new Set(kept as string[])];
}

export function decideNames(command: CommandEnvelope & NamesRequest, state: State, deadlines: Deadlines): Decision {
  const names = serverNames(command.names);
  if (names === null) {
    const message = `${command.names.find((name) => serverNameOf(name) === null)} is not a TLS name: DNS labels with dots between, or *. and a name`;
    return refuse("HOSTNAME_UNSUPPORTED", message);
  }
  if (command.sharesPorts === false) return { ok: false, refusal: UNAVAILABLE };
  const admitted = admit(state, command, TCP);
  if ("code" in admitted) return { ok: false, refusal: admitted };
  if (command.suggestedAddress !== null && command.suggestedAddress !== admitted.address) {
    const message = `the external address is ${admitted.address}, not ${command.suggestedAddress}`;
    return refuse("CANNOT_PROVIDE_EXTERNAL", message);
  }
  const draft = new Draft(command, state);
  const renewals: Renewal[] = [];
  const answers: Extract<Answer, { kind: "mapped" }>[] = [];
  for (const name of names) {
    const decision = draft.step(`name ${name}`, (envelope, now) =>
      decideName({ command: { ...command, ...envelope }, state: now, deadlines, admitted }, name),
    );
    if (!decision.ok) return decision;
    renewals.push(...decision.renewals);
    if (decision.answer.kind === "mapped") answers.push(decision.answer);
  }
  const [first, ...rest] = answers;
  if (first === undefined) return refuse("HOSTNAME_UNSUPPORTED", "no TLS name was named");
  const lifetime = Math.min(...answers.map((answer) => answer.lifetime));
  const more = rest.map(({ mappingId, claimKey }) => ({ mappingId, claimKey }));
  const drafted = draft.decision({ ...first, lifetime, ...(more.length > 0 && { more }) });
  return drafted.ok ? { ...drafted, renewals } : drafted;
}

function decideName(asking: Asking, name: string): Decision {
  const { command, state, admitted } = asking;
  const there = mappingNamed(state, { wan: admitted.wan, protocol: TCP, name }, command.externalPort);
  const { device, internalPort } = command;
  if (there?.internalAddress === device && there.internalPort === internalPort) return have(asking, there);
  // The same host with another port of its own: what it asked for before ends, if nobody else wants that.
  const leaves = there?.internalAddress === device && there.claims.every(({ key }) => key === command.claim.key);
  return grant(asking, name, leaves && there !== undefined ? there : null);
}

function have(asking: Asking, mapping: Mapping): Decision {
  const { command, state, admitted } = asking;
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this name (${mapping.id})`);
  const { claim } = command;
  const answer = answerOf(asking, mapping.id);
  const mine = mapping.claims.find(({ key }) => key === claim.key);
  if (mine !== undefined) {
    const { description, enabled } = claim;
    const changes = {
      ...(mine.description !== description && { description }),
      ...(mine.enabled !== enabled && { enabled }),
    };
    const lease = renewed(asking, { mappingId: mapping.id, claim: mine }, claim.lifetime, changes);
    if ("code" in lease) return { ok: false, refusal: lease };
    return accept(lease.events, { ...answer, lifetime: lease.lifetime }, lease.renewals);
  }
  // RFC 6887 §11.3: what an operator made is confirmed and nothing of the request is stored.
  if (heldByOperatorAlone(mapping)) {
    return accept([], { ...answer, claimKey: null, lifetime: untilItEnds(asking, mapping, claim.lifetime) });
  }
  const same = mapping.claims.filter(({ source }) => source === claim.source);
  if (claim.source === "pcp" && admitted.served.nonce === "strict" && same[0] !== undefined) {
    const message = `another PCP nonce holds ${mapping.name}; it ends with that claim's lease`;
    return refuse("NONCE_MISMATCH", message, { retryAfter: remaining(asking, mapping, "pcp") });
  }
  const refusal = tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const own = same.filter(({ device }) => device === claim.device);
  const replaced = own.length >= CLAIMS_PER_MAPPING_MAX ? own.slice(0, 1) : [];
  return accept([...replaced.map(({ key }) => released(mapping, key, "replaced")), joined(mapping, claim)], answer);
}

const joined = (mapping: Mapping, claim: Claim): PortreeveEvent =>
  event("lease.granted", { mappingId: mapping.id, claim });

const released = (mapping: Mapping, claimKey: string, reason: "client" | "replaced"): PortreeveEvent =>
  event("lease.released", { mappingId: mapping.id, claimKey, reason });

function grant(asking: Asking, name: string, before: Mapping | null): Decision {
  const { command, state, admitted } = asking;
  const { externalPort, claim } = command;
  const refusal =
    hindered(asking, name) ?? (before === null ? overQuota(state, command) : null) ?? tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const place = { wan: admitted.wan, protocol: TCP, externalPort, count: 1, name };
  const granted = deviceGrant(command, state, place, claim);
  const ended = (before?.claims ?? []).map(({ key }) => released(before as Mapping, key, "client"));
  return accept([...ended, granted], answerOf(asking, granted.data.id));
}

/** Why a device may not have a name, whatever it has already. */
function hindered({ command, state, admitted: { wan } }: Asking, name: string): Refusal | null {
  const { device, externalPort: port, now } = command;
  const why = protection(state, TCP, port);
  if (why !== null) return { code: "PORT_PROTECTED", message: `tcp ${port} cannot be shared by name: ${why}` };
  const own = mappingNamed(state, { wan, protocol: TCP, name }, port);
  const holder = nameHolder(state, { wan, port, name }, device);
  if (holder?.name === null) {
    const message = `tcp ${port} is all ${holder.internalAddress}'s (${holder.id}); an operator can share it by name`;
    return { code: "PORT_TAKEN", message, conflicts: [holder.id] };
  }
  if (holder !== undefined) {
    const message = `${name} on port ${port} is led to ${holder.internalAddress} (${holder.name}, ${holder.id})`;
    return { code: "HOSTNAME_TAKEN", message, conflicts: [holder.id] };
  }
  if (own !== undefined && own.claims.some(({ key }) => key !== command.claim.key)) {
    const message = `${name} on port ${port} is led to port ${own.internalPort} of ${device} already (${own.id})`;
    return { code: "HOSTNAME_TAKEN", message, conflicts: [own.id] };
  }
  const kept = tableGet(state.quarantine, externalKey(wan, TCP, port, name));
  if (kept === undefined || kept.until <= now || kept.device === device) return null;
  const retryAfter = Math.ceil((kept.until - now) / 1000);
  return {
    code: "HOSTNAME_TAKEN",
    message: `${name} on port ${port} was another host's until a moment ago`,
    retryAfter,
  };
}

function answerOf({ command, admitted }: Asking, mappingId: string): Extract<Answer, { kind: "mapped" }> {
  const { claim, externalPort } = command;
  const place = { externalAddress: admitted.address, externalPort };
  return { kind: "mapped", mappingId, claimKey: claim.key, ...place, lifetime: claim.lifetime };
}
