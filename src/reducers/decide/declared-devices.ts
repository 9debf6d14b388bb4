import type { DeclaredDevice } from "../../events/declaration.ts";
import { deviceAt, deviceNamed } from "../device.ts";
import { type Device, deviceKey } from "../state.ts";
import { subnetNamed } from "../subnet.ts";
import type { Refusal } from "./command.ts";
import type { Applied, SealedKeys } from "./declaration.ts";
import { decideDeviceAdd, decideDeviceEdit, firstFree, rightsOf } from "./device.ts";
import { type Draft, foreign } from "./draft.ts";

interface Edit {
  readonly declared: DeclaredDevice;
  readonly device: Device;
}

/** Who stays where it is, then who moves, then who is new: each finds its address free if it can be. */
export function putDevices(command: Applied, draft: Draft): void {
  const { staying, moving, added } = sorted(command, draft);
  for (const edit of staying) editDevice(edit, command, draft);
  moveDevices(moving, command, draft);
  for (const declared of added) if (declared.address !== null) addDevice(declared, command, draft);
  for (const declared of added) if (declared.address === null) addDevice(declared, command, draft);
}

/** Each as soon as its address is free: whoever leaves one makes room for the next, however long the chain is. */
function moveDevices(moving: readonly Edit[], command: Applied, draft: Draft): void {
  const waiting = new Map<string, Edit>();
  const others: Edit[] = [];
  for (const edit of moving) {
    const wanted = deviceKey(edit.device.interface, edit.declared.address as string);
    if (waiting.has(wanted)) others.push(edit);
    else waiting.set(wanted, edit);
  }
  for (const [wanted, { declared, device }] of waiting) {
    if (deviceAt(draft.state, device.interface, declared.address as string) !== undefined) continue;
    for (let next = waiting.get(wanted), at = wanted; next !== undefined; next = waiting.get(at)) {
      waiting.delete(at);
      editDevice(next, command, draft);
      at = deviceKey(next.device.interface, next.device.address);
    }
  }
  // Where two change places neither is free, and two can't have the same: the refusal names who is there.
  for (const edit of [...waiting.values(), ...others]) editDevice(edit, command, draft);
}

function sorted({ declaration }: Applied, draft: Draft): { staying: Edit[]; moving: Edit[]; added: DeclaredDevice[] } {
  const found = { staying: [] as Edit[], moving: [] as Edit[], added: [] as DeclaredDevice[] };
  for (const declared of declaration.devices) {
    if (draft.failed.has(`subnet ${declared.subnet}`)) {
      draft.failed.add(`device ${declared.name}`);
      continue;
    }
    const device = deviceNamed(draft.state, declared.name);
    const not = device === undefined ? null : (foreign(device, declaration) ?? elsewhere(device, declared, draft));
    if (not !== null) draft.refuse(`device ${declared.name}`, { code: "CONFLICT", message: not });
    else if (device === undefined) found.added.push(declared);
    else if (declared.address === null || declared.address === device.address) found.staying.push({ declared, device });
    else found.moving.push({ declared, device });
  }
  return found;
}

/** Why a device cannot become what is declared by an edit. */
function elsewhere(device: Device, { subnet, interface: lan }: DeclaredDevice, draft: Draft): string | null {
  const on = device.subnet === null ? undefined : draft.state.subnets[device.subnet];
  if (device.interface === lan && on?.name.toLowerCase() === subnet?.toLowerCase()) return null;
  const place = on?.name ?? device.interface;
  return `it is on ${place} and can't move to ${subnet ?? lan}; give the new one another name, and --prune removes the old one`;
}

function keysFor({ name }: DeclaredDevice, { keys }: Applied): SealedKeys | Refusal {
  const message = "it needs keys that were not made for it, for it was changed meanwhile; apply again";
  return keys.get(name) ?? { code: "LOG_REVISION_CONFLICT", message };
}

function editDevice({ declared, device }: Edit, command: Applied, draft: Draft): void {
  const { kind, wan, profile, address, publicKey, zones, mapsFor } = declared;
  const where = `device ${declared.name}`;
  const rekeyed = device.subnet !== null && publicKey !== null && publicKey !== device.publicKey;
  const keys = rekeyed ? keysFor(declared, command) : null;
  if (keys !== null && "code" in keys) return draft.refuse(where, keys);
  const rights = { ports: declared.ports ?? rightsOf(kind).ports, dns: declared.dns ?? rightsOf(kind).dns };
  const edit = { type: "device.edit", id: device.id, kind, ...rights, zones, mapsFor, wan, profile, ...keys } as const;
  draft.do(where, (envelope, state) => {
    return decideDeviceEdit({ ...envelope, ...edit, ...(address !== null && { address }) }, state);
  });
}

const WITHOUT_KEYS = { publicKey: null, privateKeySecret: null, presharedKeySecret: null };

function addDevice(declared: DeclaredDevice, command: Applied, draft: Draft): void {
  const where = `device ${declared.name}`;
  const subnet = declared.subnet === null ? null : subnetNamed(draft.state, declared.subnet);
  if (subnet === undefined) {
    return draft.refuse(where, { code: "NOT_FOUND", message: `there is no subnet ${declared.subnet}` });
  }
  const keys = subnet === null ? WITHOUT_KEYS : keysFor(declared, command);
  if ("code" in keys) return draft.refuse(where, keys);
  const { publicKey } = declared;
  if (subnet === null && publicKey !== null) {
    return draft.refuse(where, { code: "INVALID_REQUEST", message: "a device on a LAN has no WireGuard key" });
  }
  // Nobody leaves while devices are added: below the last one that was chosen nothing is free.
  const { lastChosen } = draft;
  const choose = subnet !== null && declared.address === null;
  const address = choose ? firstFree(draft.state, subnet, lastChosen.get(subnet.id)) : declared.address;
  if (address !== null && typeof address !== "string") return draft.refuse(where, address);
  const managedBy = command.declaration.name;
  const place = { subnet: subnet?.id ?? null, address };
  const add = { type: "device.add", ...declared, ...place, ...keys, lifetime: null, managedBy } as const;
  const added = draft.do(where, (envelope, state) => decideDeviceAdd({ ...envelope, ...add }, state));
  if (added && choose) lastChosen.set(subnet.id, address as string);
}
