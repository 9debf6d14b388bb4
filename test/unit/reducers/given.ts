import { GENESIS_HASH } from "../../../src/events/envelope.ts";
import { EVENT_TYPES, event, type PortreeveEvent, type PortreeveRecord } from "../../../src/events/index.ts";
import type { Settings } from "../../../src/events/settings.ts";
import { tableRows } from "../../../src/lib/table.ts";
import { LeaseBook } from "../../../src/controller/lease-book.ts";
import type { Answer, Command, Decision, MapRequest, UnmapRequest } from "../../../src/reducers/decide/command.ts";
import { decide } from "../../../src/reducers/decide/index.ts";
import type { UpnpMap } from "../../../src/reducers/decide/upnp.ts";
import { foldInto } from "../../../src/reducers/fold.ts";
import { forkState, sealState, TABLES } from "../../../src/reducers/fork.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { DEFAULT_SETTINGS, initialState, type State } from "../../../src/reducers/state.ts";

/** A LAN without a resolver of ours. */
export const NO_DNS = { dns: false, dnsUpdates: "signed", zone: null } as const;
export const T0 = 1_800_000_000_000;
export const WAN_ADDRESS = "11.22.33.1";
export const NONCE = "0102030405060708090a0b0c";
export const OTHER_NONCE = "ffffffffffffffffffffffff";
export const DEVICE = "192.168.77.2";
export const OTHER_DEVICE = "192.168.77.3";

/** A handler that changes what it was given, instead of replacing it, fails. */
function freezeParts(state: State): State {
  for (const part of Object.values(state)) if (!isTable(part)) freezeDeep(part);
  for (const name of TABLES) for (const row of tableRows<unknown>(state[name])) freezeDeep(row);
  return state;
}

const isTable = (part: unknown): boolean => typeof part === "object" && part !== null && "root" in part;

function freezeDeep(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freezeDeep(inner);
}

/** A gateway with wan0 and lan0, driven by commands as the controller does it, without a log. */
export class Gateway {
  state: State = sealState(initialState());
  now = T0;
  readonly records: PortreeveRecord[] = [];
  leases = new LeaseBook();
  #count = 0;

  constructor(settings: Partial<Settings["portControl"]> = {}, nonce: "strict" | "same-host" = "strict") {
    this.append([
      event("settings.changed", {
        settings: {
          wan: { interfaces: ["wan0"], externalAddress: "auto" },
          lan: [{ interface: "lan0", nonce, devices: "any", ...NO_DNS }],
          wireguard: null,
          portControl: { ...DEFAULT_SETTINGS.portControl, ...settings },
          dns: DEFAULT_SETTINGS.dns,
        },
      }),
      event("interface.observed", { name: "lan0", up: true, addresses: ["192.168.77.1/24"], gateway: null }),
      event("interface.observed", { name: "wan0", up: true, addresses: [`${WAN_ADDRESS}/24`], gateway: null }),
    ]);
  }

  append(events: readonly PortreeveEvent[], source = "test", causedBy: number | null = null): void {
    if (events.length === 0) return;
    const added = events.map((each, index): PortreeveRecord => {
      // What the log would store must pass its own schema.
      EVENT_TYPES[each.type].schema.parse(JSON.parse(JSON.stringify(each.data)));
      const hashes = { prevHash: GENESIS_HASH, hash: GENESIS_HASH };
      const seq = this.state.seq + 1 + index;
      return { seq, at: this.now, source, requestId: `r${seq}`, causedBy, event: each, ...hashes };
    });
    const fork = forkState(this.state);
    for (const record of added) foldInto(fork, record);
    this.state = freezeParts(sealState(fork));
    this.leases.apply(this.state, added);
    this.records.push(...added);
    const faults = checkInvariants(this.state);
    if (faults.length > 0) throw new Error(faults.join("\n"));
  }

  decide(command: Command, source = "test", entropy = 7): Decision {
    this.#count += 1;
    return decide(
      { ...command, now: this.now, source, requestId: `q${this.#count}`, entropy },
      this.state,
      this.leases,
    );
  }

  /** Decides and folds; refusals change nothing. */
  do(command: Command, source = "test", entropy = 7): Decision {
    const decision = this.decide(command, source, entropy);
    if (decision.ok) {
      this.append(decision.events, source, decision.causedBy);
      for (const renewal of decision.renewals) this.leases.renew(renewal);
    }
    return decision;
  }

  map(fields: Partial<MapRequest> = {}): Decision {
    const request = mapRequest(fields);
    return this.do(request, `${request.by}:${request.device}`);
  }

  unmap(fields: Partial<UnmapRequest> = {}): Decision {
    const request = unmapRequest(fields);
    return this.do(request, `${request.by}:${request.device}`);
  }

  /** As it was then, to go on in another way; leases end as after a start in that state. */
  back(state: State): this {
    this.state = state;
    this.leases = new LeaseBook();
    this.leases.restore(state, this.now);
    return this;
  }

  later(seconds: number): this {
    this.now += seconds * 1000;
    return this;
  }
}

export function mapRequest(fields: Partial<MapRequest> = {}): MapRequest {
  const by = fields.by ?? "pcp";
  return {
    type: "map",
    by,
    interface: "lan0",
    device: DEVICE,
    clientPort: 40_000,
    protocol: 6,
    internalPort: 8080,
    suggestedPort: 0,
    suggestedAddress: null,
    lifetime: 3600,
    nonce: by === "pcp" ? NONCE : null,
    preferFailure: false,
    filters: [],
    portSet: null,
    ...fields,
  };
}

export function unmapRequest(fields: Partial<UnmapRequest> = {}): UnmapRequest {
  const by = fields.by ?? "pcp";
  const nonce = by === "pcp" ? NONCE : null;
  return { type: "unmap", by, interface: "lan0", device: DEVICE, protocol: 6, internalPort: 8080, nonce, ...fields };
}

export const upnpMap = (fields: Partial<UpnpMap> = {}): UpnpMap => ({
  type: "upnpMap",
  interface: "lan0",
  device: DEVICE,
  protocol: "tcp",
  externalPort: 9000,
  any: false,
  internalPort: 8080,
  remoteHost: null,
  enabled: true,
  description: "",
  lifetime: 3600,
  ...fields,
});

export const portAdd = (fields: Partial<Extract<Command, { type: "port.add" }>> = {}): Command => ({
  type: "port.add",
  protocol: "tcp",
  externalPort: 8443,
  count: 1,
  internalAddress: DEVICE,
  internalPort: 443,
  label: null,
  enabled: true,
  lifetime: null,
  wan: null,
  sourceAddress: null,
  from: [],
  ...fields,
});

export function mapped(decision: Decision): Extract<Answer, { kind: "mapped" }> {
  if (!decision.ok) throw new Error(`refused: ${decision.refusal.code} ${decision.refusal.message}`);
  if (decision.answer.kind !== "mapped") throw new Error(`answered ${decision.answer.kind}`);
  return decision.answer;
}

export function refusalOf(decision: Decision): { code: string; retryAfter: number | undefined } {
  if (decision.ok) throw new Error("accepted");
  return { code: decision.refusal.code, retryAfter: decision.refusal.retryAfter };
}

export function eventsOf(decision: Decision): string[] {
  if (!decision.ok) throw new Error(`refused: ${decision.refusal.code}`);
  return decision.events.map((each) => each.type);
}
