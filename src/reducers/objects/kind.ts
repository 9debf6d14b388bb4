import type { PortreeveEvent } from "../../events/index.ts";
import { isoTime } from "../../lib/iso-time.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import type { State } from "../state.ts";

/** What a person is told of an object: what it is called, and what there is to say of it, by subject. */
export interface Description {
  readonly name: string;
  readonly says: Readonly<Record<string, string>>;
}

/** The states that a revert compares: before the change, right after it, and now. */
export interface Views {
  readonly before: State;
  readonly after: State;
  readonly now: State;
}

export interface RevertTerms extends Views {
  /** Gateway time. */
  readonly at: number;
  /** References of everything the same change changed: all of it is taken back together. */
  readonly own: ReadonlySet<string>;
  /** A device's request is revoked: what it made goes, and nothing of what it gave up comes back. */
  readonly revoke: boolean;
  /** Nobody confirmed the change: what devices opened by it themselves goes with it, or they could keep it for good. */
  readonly lapse: boolean;
  /** "mapping claim" of what devices have given up since: it is theirs to ask for again. */
  readonly givenUp: ReadonlySet<string>;
}

/** Why an object cannot become what it was, and what stands in the way: the object itself if it was changed again. */
export interface Hindrance {
  readonly why: string;
  readonly by: readonly string[];
}

export type Reverted = readonly PortreeveEvent[] | Hindrance;

/** What the change made goes first, then edits are turned back, then what it ended comes back: each makes room. */
export type Stage = "take away" | "edit" | "give back";

/** A kind of thing that people name and change. One entry in `OBJECT_KINDS` gives it plan, undo, confirmation and `why`. */
export interface ObjectKind {
  readonly name: string;
  keysOf(event: PortreeveEvent): readonly string[];
  describe(state: State, key: string): Description | null;
  /** What an event destroys for ever, in words; null: nothing. */
  erases(event: PortreeveEvent, before: State): string | null;
  stage(key: string, views: Views): Stage;
  /** No events: it is so already, or what would come back has ended by itself. */
  revert(key: string, terms: RevertTerms): Reverted;
}

/** One object in each of the three states. */
export interface Versions<Row> {
  readonly before: Row | undefined;
  readonly after: Row | undefined;
  readonly now: Row | undefined;
}

export interface KindDefinition<Row> {
  readonly name: string;
  readonly keysOf: (event: PortreeveEvent) => readonly string[];
  readonly read: (state: State, key: string) => Row | undefined;
  readonly describe: (row: Row, state: State) => Description;
  readonly erases?: (event: PortreeveEvent, before: State) => string | null;
  readonly takeAway: (made: Row, now: Row, terms: RevertTerms) => Reverted;
  readonly edit: (versions: { readonly [V in keyof Versions<Row>]: Row }, terms: RevertTerms) => Reverted;
  readonly giveBack: (ended: Row, terms: RevertTerms) => Reverted;
}

export const refOf = (kind: string, key: string): string => `${kind} ${key}`;

export const CHANGED_SINCE = "it was changed again since";

export function objectKind<Row>(definition: KindDefinition<Row>): ObjectKind {
  const { name, keysOf, read, describe, takeAway, edit, giveBack } = definition;
  return {
    name,
    keysOf,
    describe(state, key) {
      const row = read(state, key);
      return row === undefined ? null : describe(row, state);
    },
    erases: definition.erases ?? (() => null),
    stage: (key, { before, after }) =>
      read(before, key) === undefined ? "take away" : read(after, key) === undefined ? "give back" : "edit",
    revert(key, terms) {
      const [before, after, now] = [read(terms.before, key), read(terms.after, key), read(terms.now, key)];
      if (terms.revoke && after === undefined) return [];
      if (before === undefined) {
        return after === undefined || now === undefined ? [] : takeAway(after, now, terms);
      }
      if (after === undefined) {
        if (now === undefined) return giveBack(before, terms);
        return { why: `${describe(now, terms.now).name} is there again`, by: [refOf(name, key)] };
      }
      return now === undefined ? [] : edit({ before, after, now }, terms);
    },
  };
}

/** The fields that a change changed, as they were before it; null where one of them was changed again since. */
export function fieldsBack<Row extends object, Field extends keyof Row>(
  { before, after, now }: { readonly [V in keyof Versions<Row>]: Row },
  fields: readonly Field[],
): Partial<Pick<Row, Field>> | null {
  const same = (left: Row, right: Row, field: Field): boolean =>
    left[field] === right[field] || canonicalJson(left[field] ?? null) === canonicalJson(right[field] ?? null);
  const changed = fields.filter((field) => !same(before, after, field));
  if (changed.some((field) => !same(now, after, field))) return null;
  return Object.fromEntries(changed.map((field) => [field, before[field]])) as Partial<Pick<Row, Field>>;
}

/** What an object is once a change of these fields is taken back; undefined: it is gone. */
export function rowBack<Row extends object>(
  { before, after, now }: Versions<Row>,
  fields: readonly (keyof Row)[],
): Row | undefined {
  if (before === undefined) return undefined;
  if (after === undefined) return now ?? before;
  return now === undefined ? undefined : { ...now, ...fieldsBack({ before, after, now }, fields) };
}

/** Whether an object is still as a change made it. */
export function unchanged<Row extends object>(made: Row, now: Row, fields: readonly (keyof Row)[]): boolean {
  return fields.every((field) => canonicalJson(made[field] ?? null) === canonicalJson(now[field] ?? null));
}

export const saysManaged = ({ managedBy }: { readonly managedBy?: string | undefined }): Description["says"] =>
  managedBy === undefined ? {} : { "managed by": managedBy };

export const timeText = (at: number | null): string => (at === null ? "never" : isoTime(at));
