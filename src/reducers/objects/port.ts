import { event, type PortreeveEvent } from "../../events/index.ts";
import { type Claim, mappingChanged, type MappingChanged } from "../../events/mapping.ts";
import { tableGet } from "../../lib/table.ts";
import { badPlace } from "../decide/port.ts";
import { unknownWan } from "../decide/wan.ts";
import { deviceAt } from "../device.ts";
import { mappingAt } from "../port-index.ts";
import { servedInterface } from "../served.ts";
import { allowanceKey, internalKey, type Mapping, type State } from "../state.ts";
import {
  CHANGED_SINCE,
  type Description,
  fieldsBack,
  type Hindrance,
  objectKind,
  refOf,
  type Reverted,
  type RevertTerms,
  timeText,
  unchanged,
} from "./kind.ts";

const KIND = "port";

type Field = Exclude<keyof MappingChanged, "id">;
const FIELDS = Object.keys(mappingChanged.shape).filter((field) => field !== "id") as Field[];
/** The rest of them change nothing of where packets go. */
const ELSEWHERE: ReadonlySet<Field> = new Set(["label", "enabled"]);

export const ports = objectKind<Mapping>({
  name: KIND,
  keysOf,
  read: (state, key) => tableGet(state.mappings, key),
  describe,
  takeAway(made, now) {
    const joined = now.claims.some(({ key }) => claimOf(made, key) === undefined);
    if (joined || !unchanged(made, now, FIELDS)) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
    return now.claims.map((claim) => release(now, claim));
  },
  edit: ({ before, after, now }, terms) => turnBack(before, after, now, terms),
  giveBack(ended, terms) {
    const claims = ended.claims.filter((claim) => !isOver(claim, terms.at));
    if (claims.length === 0) return [];
    return hindranceOf({ ...ended, claims }, claims, terms) ?? [restored({ ...ended, claims })];
  },
});

/** Renewals name many mappings and change what is the case with none. */
function keysOf({ type, data }: PortreeveEvent): string[] {
  switch (type) {
    case "mapping.granted":
    case "mapping.changed":
    case "mapping.restored":
      return [data.id];
    case "lease.granted":
    case "lease.changed":
    case "lease.released":
    case "lease.expired":
      return [data.mappingId];
    default:
      return [];
  }
}

export function portName({ externalPort, count, protocol }: Mapping): string {
  const last = count === 1 ? "" : `-${externalPort + count - 1}`;
  return `${externalPort}${last}/${protocol}`;
}

function describe(mapping: Mapping): Description {
  const { internalAddress, internalPort, count, wan, label, enabled, claims } = mapping;
  const last = count === 1 ? "" : `-${internalPort + count - 1}`;
  const ends = claims.map((claim) => claim.expiresAt);
  return {
    name: portName(mapping),
    says: {
      to: `${internalAddress}:${internalPort}${last}`,
      on: wan,
      label: label ?? "none",
      is: enabled ? "open" : "closed",
      "asked for by": claims.map(claimText).join(", "),
      ends: timeText(ends.includes(null) ? null : Math.max(...(ends as number[]))),
    },
  };
}

const claimText = ({ source, device }: Claim): string => (device === null ? "an operator" : `${device} by ${source}`);

function turnBack(before: Mapping, after: Mapping, now: Mapping, terms: RevertTerms): Reverted {
  const events: PortreeveEvent[] = [];
  for (const { key } of after.claims) {
    const present = claimOf(now, key);
    if (claimOf(before, key) === undefined && present !== undefined) events.push(release(now, present));
  }
  if (terms.revoke) return events;
  const fields = fieldsBack({ before, after, now }, FIELDS);
  const lifetimes = lifetimesBack(before, after, now, terms.at);
  if (fields === null || lifetimes === null) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
  // What the change added goes with it; without that nobody wants the mapping any more.
  const ended = before.claims.filter(({ key }) => claimOf(after, key) === undefined && claimOf(now, key) === undefined);
  const returning = ended.filter((claim) => !isOver(claim, terms.at));
  if (events.length + returning.length === 0 && Object.keys(fields).length === 0) return lifetimes;
  if (events.length === now.claims.length && returning.length === 0) return events;
  const wanted = { ...now, ...fields } as Mapping;
  const moves = (Object.keys(fields) as Field[]).some((field) => !ELSEWHERE.has(field));
  const hindrance = moves || returning.length > 0 ? hindranceOf(wanted, returning, terms) : null;
  if (hindrance !== null) return hindrance;
  if (returning.length === 0) {
    const changed = Object.keys(fields).length === 0 ? [] : [event("mapping.changed", { id: now.id, ...fields })];
    return [...events, ...lifetimes, ...changed];
  }
  const kept = now.claims.filter(({ key }) => claimOf(before, key) !== undefined || claimOf(after, key) === undefined);
  const claims = inOrderOf(before, [...kept, ...returning]);
  return [restored({ ...wanted, claims }), ...events.map(released), ...lifetimes];
}
