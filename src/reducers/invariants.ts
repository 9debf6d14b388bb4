import { type ReadonlyTable, tableChanges, tableEntries, tableGet, tableRows } from "../lib/table.ts";
import { isAddressType } from "../lib/dns-record.ts";
import { isAskedForBy } from "./delegation.ts";
import { isListed, publishedBy, sizeOf } from "./dns-record.ts";
import { TABLES } from "./fork.ts";
import {
  deviceKey,
  type DnsName,
  type DnsRecord,
  type Published,
  type Usage,
  hostOf,
  isPinhole,
  usageKey,
  externalKey,
  internalKey,
  type Mapping,
  type State,
} from "./state.ts";

/**
 * What is true of every state (docs/invariants.md). With `since`, a state known to be good, only what changed after it
 * is looked at, so that each commit can afford the check. Returns the violations, numbered as in the document.
 */
export function checkInvariants(state: State, since?: State): string[] {
  const faults: string[] = [];
  for (const mapping of changedRows(state.mappings, since?.mappings)) checkMapping(state, mapping, faults);
  for (const [key, id] of changedEntries(state.byExternal, since?.byExternal)) {
    const mapping = tableGet(state.mappings, id);
    if (mapping === undefined) faults.push(`S3 external ${key} points to ${id}, which is not there`);
    else if (!holdsExternal(mapping, key)) faults.push(`S3 external ${key} points to ${id}, which does not hold it`);
  }
  for (const [key, ids] of changedEntries(state.shared, since?.shared)) {
    if (ids.length === 0 || new Set(ids).size !== ids.length) faults.push(`S15 port ${key} lists nothing or one twice`);
    for (const id of ids) {
      const mapping = tableGet(state.mappings, id);
      const shares = mapping !== undefined && mapping.name !== null;
      if (!shares || externalKey(mapping.wan, mapping.protocol, mapping.externalPort) !== key)
        faults.push(`S15 port ${key} is said to be shared by ${id}, which does not`);
    }
  }
  for (const [key, ids] of changedEntries(state.byInternal, since?.byInternal)) {
    if (ids.length === 0 || new Set(ids).size !== ids.length)
      faults.push(`S4 internal ${key} lists nothing or one twice`);
    for (const id of ids) {
      if (tableGet(state.mappings, id) === undefined)
        faults.push(`S4 internal ${key} points to ${id}, which is not there`);
    }
  }
  const known = since !== undefined && keepsMappings(since, state) ? since.usages : null;
  for (const [key, device] of changedEntries(state.usages, since?.usages)) {
    checkUsage(state, key, device, known === null ? undefined : tableGet(known, key), faults);
  }
  checkDevices(state, since, faults);
  checkNames(state, since, faults);
  if (since === undefined) checkSizes(state, faults);
  return faults;
}

function checkMapping(state: State, mapping: Mapping, faults: string[]): void {
  const { id, wan, protocol, externalPort, internalAddress, internalPort, count, name, claims } = mapping;
  if (claims.length === 0) faults.push(`S1 mapping ${id} has no claim`);
  if (new Set(claims.map((claim) => claim.key)).size !== claims.length)
    faults.push(`S2 mapping ${id} has a claim twice`);
  const translates = wan !== internalAddress || externalPort !== internalPort || name !== null || mapping.count > 1;
  if (isPinhole(mapping) && translates) faults.push(`S16 pinhole ${id} translates`);
  if (name !== null) {
    if (protocol !== "tcp" || count !== 1) faults.push(`S15 mapping ${id} has the name ${name} and is no TCP port`);
    if (tableGet(state.shared, externalKey(wan, protocol, externalPort))?.includes(id) !== true)
      faults.push(`S15 mapping ${id} is not found among those that share its port`);
  }
  for (let offset = 0; offset < count; offset += 1) {
    if (tableGet(state.byExternal, externalKey(wan, protocol, externalPort + offset, name)) !== id) {
      faults.push(`S3 mapping ${id} does not hold external ${protocol} ${externalPort + offset}`);
    }
    const ids = tableGet(state.byInternal, internalKey(internalAddress, protocol, internalPort + offset));
    if (ids?.includes(id) !== true)
      faults.push(`S4 mapping ${id} is not found by internal port ${internalPort + offset}`);
    if (tableGet(state.quarantine, externalKey(wan, protocol, externalPort + offset, name)) !== undefined) {
      faults.push(`S6 mapping ${id} holds quarantined port ${externalPort + offset}`);
    }
  }
  const byDevice = claims.filter((claim) => claim.device !== null);
  if (byDevice.some(({ device }) => device !== internalAddress && !isAskedForBy(state, internalAddress, device))) {
    faults.push(`S7 mapping ${id} goes to ${internalAddress} and is claimed by another device`);
  }
  if (byDevice.length > 0 && mapping.interface !== null) {
    const device = tableGet(state.usages, usageKey(mapping.interface, hostOf(mapping)));
    if (device?.mappingIds.includes(id) !== true) faults.push(`S5 mapping ${id} is missing from its device`);
  }
  if (claims.some((claim) => (claim.expiresAt === null) !== (claim.lifetime === null))) {
    faults.push(`S8 mapping ${id} has a claim with an end and no lifetime, or the reverse`);
  }
}

/** Registered devices, their places and the number of them on subnets. */
function checkDevices(state: State, since: State | undefined, faults: string[]): void {
  const { devices, deviceAt, deviceNamed, deviceKeyed, subnets } = state;
  if (since !== undefined && since.devices === devices && since.subnets === subnets) return;
  for (const device of changedRows(devices, since?.devices)) {
    const { id, name, publicKey, subnet, interface: lan, address } = device;
    if (tableGet(deviceAt, deviceKey(lan, address)) !== id) faults.push(`S10 device ${id} is not found at ${address}`);
    if (tableGet(deviceNamed, name) !== id) faults.push(`S10 device ${id} is not found by its name ${name}`);
    if (publicKey !== null && tableGet(deviceKeyed, publicKey) !== id)
      faults.push(`S10 device ${id} is not found by its key`);
    if ((subnet === null) === (lan === null)) faults.push(`S10 device ${id} is on a subnet and a LAN, or on neither`);
    if (subnet !== null && subnets[subnet] === undefined)
      faults.push(`S11 device ${id} is on ${subnet}, which is not there`);
    if (subnet !== null && (publicKey === null || device.presharedKeySecret === null)) {
      faults.push(`S11 device ${id} is on a subnet without keys`);
    }
  }
  for (const table of ["deviceAt", "deviceNamed", "deviceKeyed"] as const) {
    for (const [key, id] of changedEntries(state[table], since?.[table])) {
      if (tableGet(devices, id) === undefined) faults.push(`S10 ${table} ${key} leads to ${id}, which is not there`);
    }
  }
  if (deviceAt.size !== devices.size || deviceNamed.size !== devices.size)
    faults.push(`S10 ${devices.size} devices have ${deviceAt.size} places and ${deviceNamed.size} names`);
  if (deviceKeyed.size !== state.tunnelled)
    faults.push(`S11 ${state.tunnelled} devices on subnets have ${deviceKeyed.size} keys`);
  const gone = since === undefined ? [] : Object.keys(since.subnets).filter((id) => subnets[id] === undefined);
  if (since !== undefined && gone.length === 0) return;
  const tunnelled = [...tableRows(devices)].filter((device) => device.subnet !== null);
  if (tunnelled.length !== state.tunnelled)
    faults.push(`S11 ${state.tunnelled} devices counted on subnets, ${tunnelled.length} there`);
  for (const { id, subnet } of tunnelled) {
    if (subnets[subnet as string] === undefined) faults.push(`S11 device ${id} is on ${subnet}, which is not there`);
  }
}

/** Names, whose they are, and the ways that lead to them. */
function checkNames(state: State, since: State | undefined, faults: string[]): void {
  const { names, recordNames, namesOf, namesAt, devices, delegations } = state;
  for (const [key, { name, device, records }] of changedEntries(names, since?.names)) {
    if (key !== name || records.length === 0) faults.push(`S12 name ${key} is ${name} with ${records.length} records`);
    if (records.some(({ id }) => tableGet(recordNames, id) !== name)) faults.push(`S12 ${name} is not found by record`);
    if (records.length > 1) checkTogether(name, records, faults);
    if (records.some((record) => (record.expiresAt === null) !== (device === null || record.lifetime === null)))
      faults.push(`S14 ${name} has a record with an end and no device or lifetime, or the reverse`);
    for (const { type, value } of records) {
      if (isAddressType(type) && !isListed(tableGet(namesAt, value), name))
        faults.push(`S12 ${name} is not found by ${value}`);
    }
    if (device === null) continue;
    if (tableGet(devices, device) === undefined) faults.push(`S14 ${name} is of ${device}, which is not there`);
    if (!isListed(tableGet(namesOf, device), name)) faults.push(`S14 ${name} is not found by its device`);
  }
  for (const [id, name] of changedEntries(recordNames, since?.recordNames)) {
    if (tableGet(names, name)?.records.some((record) => record.id === id) !== true)
      faults.push(`S12 record ${id} leads to ${name}, which does not have it`);
  }
  for (const [device, list] of changedEntries(namesOf, since?.namesOf)) {
    const joined = added(since?.namesOf, device, list);
    if (list.length === 0 || joined.some((name) => tableGet(names, name)?.device !== device))
      faults.push(`S14 device ${device} lists nothing, or names that are not its own`);
  }
  for (const [address, list] of changedEntries(namesAt, since?.namesAt)) {
    const has = (name: string) => tableGet(names, name)?.records.some(({ value }) => value === address) === true;
    if (list.length === 0 || !added(since?.namesAt, address, list).every(has))
      faults.push(`S12 ${address} lists nothing, or names without it`);
  }
  for (const [zone, id] of changedEntries(delegations, since?.delegations)) {
    if (tableGet(devices, id)?.zones.includes(zone) !== true) faults.push(`S14 zone ${zone} is not of ${id}`);
  }
  checkDevicesOfNames(state, since, faults);
  checkPublished(state, since, faults);
  for (const { key, before = "", after } of since === undefined ? [] : tableChanges(since.recordNames, recordNames)) {
    if (after === undefined && tableGet(names, before)?.records.some(({ id }) => id === key) === true)
      faults.push(`S12 record ${key} is there and is not found`);
  }
  for (const { key, before, after } of since === undefined ? [] : tableChanges(since.names, names)) {
    const gone = (before?.records ?? []).filter(({ id }) => after?.records.some((each) => each.id === id) !== true);
    if (after === undefined && before?.device != null && isListed(tableGet(namesOf, before.device), key))
      faults.push(`S14 ${key} went and is listed by its device`);
    for (const { id, value } of gone) {
      const still = after?.records.some((each) => each.value === value) === true;
      if (!still && isListed(tableGet(namesAt, value), key)) faults.push(`S12 ${value} lists ${key} still`);
      if (tableGet(recordNames, id) !== undefined) faults.push(`S12 record ${id} went and is found still`);
    }
  }
}

/** What records at one name must not be beside each other. */
function checkTogether(name: string, records: readonly DnsRecord[], faults: string[]): void {
  const kinds = new Set(records.map(({ type, value }) => `${type} ${value}`));
  if (kinds.size !== records.length) faults.push(`S13 ${name} has a record twice`);
  if (records.some(({ type }) => type === "CNAME")) faults.push(`S13 ${name} is more than an alias`);
  const ttls = new Map(records.map(({ type, ttl }) => [type, ttl]));
  if (records.some(({ type, ttl }) => ttls.get(type) !== ttl)) faults.push(`S13 ${name} has two TTLs for one type`);
}

/** What of a sorted list was not in it before; what was is known to be good, and what went is looked at where it went. */
function added(since: ReadonlyTable<string[]> | undefined, key: string, list: readonly string[]): readonly string[] {
  const before = since === undefined ? undefined : tableGet(since, key);
  if (before === undefined) return list;
  const more: string[] = [];
  let next = 0;
  for (const name of list) {
    // Nearly all of it is as it was: what is equal is not compared by its order.
    while (before[next] !== name && next < before.length && (before[next] as string) < name) next += 1;
    if (before[next] === name) next += 1;
    else more.push(name);
  }
  return more;
}

/** What a device had, and what its names got and lost since. */
function checkPublished(state: State, since: State | undefined, faults: string[]): void {
  const counted = new Map<string, Published>();
  const known = (device: string): Published =>
    since === undefined ? { records: 0, characters: 0 } : publishedBy(since, device);
  const add = (holder: DnsName | undefined, sign: 1 | -1): void => {
    if (holder === undefined || holder.device === null) return;
    const { device, name } = holder;
    const [sum, more] = [counted.get(device) ?? known(device), sizeOf(name, holder.records)];
    const records = sum.records + sign * more.records;
    counted.set(device, { records, characters: sum.characters + sign * more.characters });
  };
  if (since === undefined) for (const name of tableRows(state.names)) add(name, 1);
  for (const { before, after } of since === undefined ? [] : tableChanges(since.names, state.names)) {
    add(before, -1);
    add(after, 1);
  }
  for (const [device] of changedEntries(state.published, since?.published)) {
    if (!counted.has(device)) counted.set(device, known(device));
  }
  for (const [device, { records, characters }] of counted) {
    const said = publishedBy(state, device);
    if (said.records !== records || said.characters !== characters)
      faults.push(`S14 device ${device} counts ${said.records} records and has ${records}, or other characters`);
    if (records === 0 && tableGet(state.published, device) !== undefined)
      faults.push(`S14 device ${device} counts nothing`);
  }
}

/** A device that went has taken its names with it. */
function checkDevicesOfNames(state: State, since: State | undefined, faults: string[]): void {
  const gone = since === undefined ? [] : tableChanges(since.devices, state.devices);
  for (const { key, after } of gone) {
    if (after === undefined && tableGet(state.namesOf, key) !== undefined) faults.push(`S14 ${key} left names behind`);
  }
}

/** Whether all mappings there were are there still and hold as many ports. */
function keepsMappings(since: State, state: State): boolean {
  const changes = tableChanges(since.mappings, state.mappings);
  return changes.every(({ before, after }) => before === undefined || before.count === after?.count);
}

/** A device that only got more mappings since it was known to be good is looked at for those. */
function checkUsage(state: State, key: string, device: Usage, before: Usage | undefined, faults: string[]): void {
  const grew = before?.mappingIds.every((id, index) => device.mappingIds[index] === id) === true;
  const [known, knownPorts] = grew && before !== undefined ? [before.mappingIds.length, before.ports] : [0, 0];
  let ports = knownPorts;
  for (const id of device.mappingIds.slice(known)) {
    const mapping = tableGet(state.mappings, id);
    if (mapping === undefined) faults.push(`S5 device ${key} holds ${id}, which is not there`);
    ports += mapping?.count ?? 0;
  }
  if (ports !== device.ports) faults.push(`S5 device ${key} counts ${device.ports} ports and holds ${ports}`);
}

function holdsExternal(mapping: Mapping, key: string): boolean {
  const port = Number(key.split("|")[2]);
  const inside = port >= mapping.externalPort && port < mapping.externalPort + mapping.count;
  return inside && key === externalKey(mapping.wan, mapping.protocol, port, mapping.name);
}

function checkSizes(state: State, faults: string[]): void {
  for (const name of TABLES) {
    const table: ReadonlyTable<unknown> = state[name];
    const counted = [...tableEntries(table)].length;
    if (counted !== table.size) faults.push(`S9 table ${name} says ${table.size} rows and has ${counted}`);
  }
}

function changedEntries<Row>(table: ReadonlyTable<Row>, since?: ReadonlyTable<Row>): Iterable<[string, Row]> {
  if (since === undefined) return tableEntries(table);
  return tableChanges(since, table).flatMap(({ key, after }): [string, Row][] =>
    after === undefined ? [] : [[key, after]],
  );
}

function* changedRows<Row>(table: ReadonlyTable<Row>, since?: ReadonlyTable<Row>): Generator<Row> {
  for (const [, row] of changedEntries(table, since)) yield row;
}
