import type { PortreeveRecord } from "../events/index.ts";
import { assert } from "../lib/assert.ts";
import { type Table, tableDelete, tableGet, tableRows, tableSet } from "../lib/table.ts";
import { editRow } from "./fork.ts";
import { followServed } from "./interface.ts";
import { allowanceKey, type Device, deviceKey, type State } from "./state.ts";

/** The registered device behind an address of a served interface; `site` as for `deviceKey`. */
export function deviceAt(state: State, site: string | null, address: string): Device | undefined {
  const id = tableGet(state.deviceAt, deviceKey(site, address));
  return id === undefined ? undefined : tableGet(state.devices, id);
}

/** Names are one device's, and of lower case. */
export function deviceNamed(state: State, name: string): Device | undefined {
  const id = tableGet(state.deviceNamed, name.toLowerCase());
  return id === undefined ? undefined : tableGet(state.devices, id);
}

export function deviceWithKey(state: State, publicKey: string): Device | undefined {
  const id = tableGet(state.deviceKeyed, publicKey);
  return id === undefined ? undefined : tableGet(state.devices, id);
}

/** By each of what nothing but this device has. */
function index(draft: State, { id, name, publicKey, interface: lan, address, zones }: Device): void {
  tableSet(draft.deviceAt, deviceKey(lan, address), id);
  tableSet(draft.deviceNamed, name, id);
  if (publicKey !== null) tableSet(draft.deviceKeyed, publicKey, id);
  for (const zone of zones) tableSet(draft.delegations, zone, id);
}

function unindex(draft: State, { id, name, publicKey, interface: lan, address, zones }: Device): void {
  const forget = (table: Table<string>, key: string): void => {
    // What it leaves another one may have taken within the same commit.
    if (tableGet(table, key) === id) tableDelete(table, key);
  };
  forget(draft.deviceAt, deviceKey(lan, address));
  forget(draft.deviceNamed, name);
  if (publicKey !== null) forget(draft.deviceKeyed, publicKey);
  for (const zone of zones) forget(draft.delegations, zone);
}

/** What a device's configuration is, unless an operator chose another. */
export const profileOf = (device: Pick<Device, "profile" | "kind">): NonNullable<Device["profile"]> =>
  device.profile ?? (device.kind === "server" ? "inbound" : "full");

let ends: { readonly devices: State["devices"]; readonly next: number | null } | null = null;

/** Gateway time at which the first device goes that has an end; null: none. Remembered, as it is asked for all the time. */
export function nextDeviceEnd({ devices }: Pick<State, "devices">): number | null {
  if (ends?.devices === devices) return ends.next;
  let next: number | null = null;
  for (const { expiresAt } of tableRows(devices)) {
    if (expiresAt !== null && (next === null || expiresAt < next)) next = expiresAt;
  }
  ends = { devices, next };
  return next;
}

export function onDeviceAdded(draft: State, record: PortreeveRecord<"device.added">): void {
  const { data } = record.event;
  assert(tableGet(draft.devices, data.id) === undefined, `device ${data.id} exists`);
  const device: Device = { ...data, createdAt: record.at, createdSeq: record.seq, revision: record.seq };
  tableSet(draft.devices, data.id, device);
  index(draft, device);
  draft.dnsRevision = record.seq;
  if (device.subnet !== null) countTunnelled(draft, 1, record);
}

export function onDeviceChanged(draft: State, record: PortreeveRecord<"device.changed">): void {
  const { id, ...fields } = record.event.data;
  const before = tableGet(draft.devices, id);
  assert(before !== undefined, `no device ${id}`);
  unindex(draft, before);
  editRow(draft.devices, id, (device) => {
    Object.assign(device, fields);
    device.revision = record.seq;
  });
  index(draft, tableGet(draft.devices, id) as Device);
  if (SERVED.some((field) => fields[field] !== undefined)) draft.dnsRevision = record.seq;
}

/** What names are made of. */
const SERVED = ["name", "address", "zones"] as const;

/** Its ports, names and allowances have ended before, in the same commit; in older logs the allowances went without a word. */
export function onDeviceRemoved(draft: State, record: PortreeveRecord<"device.removed">): void {
  const device = tableGet(draft.devices, record.event.data.id);
  assert(device !== undefined, `no device ${record.event.data.id}`);
  tableDelete(draft.devices, device.id);
  unindex(draft, device);
  draft.dnsRevision = record.seq;
  const kept = Object.entries(draft.allowances).filter(([, allowance]) => allowance.device !== device.id);
  draft.allowances = Object.fromEntries(kept);
  if (device.subnet !== null) countTunnelled(draft, -1, record);
}

/** With the first device the WireGuard interface appears, with the last it goes. */
function countTunnelled(draft: State, by: 1 | -1, record: PortreeveRecord): void {
  draft.tunnelled += by;
  if (draft.tunnelled === (by === 1 ? 1 : 0)) followServed(draft, record);
}

export function onAllowanceGranted(draft: State, record: PortreeveRecord<"allowance.granted">): void {
  const { device, protocol, internalPort } = record.event.data;
  const allowance = { device, protocol, internalPort, at: record.at };
  draft.allowances = { ...draft.allowances, [allowanceKey(device, protocol, internalPort)]: allowance };
}

export function onAllowanceWithdrawn(draft: State, record: PortreeveRecord<"allowance.withdrawn">): void {
  const { device, protocol, internalPort } = record.event.data;
  const { [allowanceKey(device, protocol, internalPort)]: _gone, ...rest } = draft.allowances;
  draft.allowances = rest;
}
