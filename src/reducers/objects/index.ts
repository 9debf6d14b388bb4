import type { PortreeveEvent } from "../../events/index.ts";
import type { State } from "../state.ts";
import { allowances } from "./allowance.ts";
import { allowedNames } from "./allowed-name.ts";
import { blocks } from "./block.ts";
import { devices } from "./device.ts";
import { type Description, type ObjectKind, refOf } from "./kind.ts";
import { pauses } from "./pause.ts";
import { ports } from "./port.ts";
import { records } from "./record.ts";
import { subnets } from "./subnet.ts";
import { tokens } from "./token.ts";

/** In the order in which they are given back: what others need comes first. They are taken away in the reverse order. */
export const OBJECT_KINDS: readonly ObjectKind[] = [
  tokens,
  pauses,
  subnets,
  devices,
  allowances,
  allowedNames,
  blocks,
  ports,
  records,
];

export interface ObjectRef {
  readonly kind: ObjectKind;
  readonly key: string;
}

/** Every object that events change, each once. */
export function objectsOf(events: Iterable<PortreeveEvent>): Map<string, ObjectRef> {
  const found = new Map<string, ObjectRef>();
  for (const event of events) {
    for (const kind of OBJECT_KINDS) {
      for (const key of kind.keysOf(event)) found.set(refOf(kind.name, key), { kind, key });
    }
  }
  return found;
}

/** What events destroy for ever, in words; null: nothing. */
export function erasedBy(events: Iterable<PortreeveEvent>, before: State): string | null {
  for (const event of events) {
    for (const kind of OBJECT_KINDS) {
      const erased = kind.erases(event, before);
      if (erased !== null) return erased;
    }
  }
  return null;
}

/** How an object is called: now, or where it is gone, in `otherwise`. */
export function nameOf({ kind, key }: ObjectRef, ...states: readonly State[]): string {
  let described: Description | null = null;
  for (const state of states) described ??= kind.describe(state, key);
  return `${kind.name} ${described?.name ?? key}`;
}

export const kindNamed = (name: string): ObjectKind | undefined => OBJECT_KINDS.find((kind) => kind.name === name);
