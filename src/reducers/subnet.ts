import type { PortreeveRecord } from "../events/index.ts";
import { assert } from "../lib/assert.ts";
import { without } from "./fork.ts";
import type { State, Subnet } from "./state.ts";

/** Names are one subnet's, however they are written. There are few subnets. */
export function subnetNamed(state: State, name: string): Subnet | undefined {
  const wanted = name.toLowerCase();
  return Object.values(state.subnets).find((each) => each.name.toLowerCase() === wanted);
}

export function onSubnetAdded(draft: State, record: PortreeveRecord<"subnet.added">): void {
  const { data } = record.event;
  assert(draft.subnets[data.id] === undefined, `subnet ${data.id} exists`);
  const subnet: Subnet = { ...data, createdSeq: record.seq, revision: record.seq };
  draft.subnets = { ...draft.subnets, [data.id]: subnet };
  draft.dnsRevision = record.seq;
}

export function onSubnetChanged(draft: State, record: PortreeveRecord<"subnet.changed">): void {
  const { id, ...fields } = record.event.data;
  const subnet = draft.subnets[id];
  assert(subnet !== undefined, `no subnet ${id}`);
  draft.subnets = { ...draft.subnets, [id]: { ...subnet, ...fields, revision: record.seq } as Subnet };
  draft.dnsRevision = record.seq;
}

/** Its devices have gone before it, in the same commit. */
export function onSubnetRemoved(draft: State, record: PortreeveRecord<"subnet.removed">): void {
  const { id } = record.event.data;
  assert(draft.subnets[id] !== undefined, `no subnet ${id}`);
  draft.subnets = without(draft.subnets, id);
  draft.dnsRevision = record.seq;
}

export function onWireguardKeyed(draft: State, record: PortreeveRecord<"wireguard.keyed">): void {
  draft.wireguard = { ...record.event.data, revision: record.seq };
}
