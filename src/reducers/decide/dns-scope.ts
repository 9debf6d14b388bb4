import { isWithin, suffixesOf } from "../../lib/domain-name.ts";
import { isPublicSuffix } from "../../lib/public-suffix.ts";
import { isReverseName, reverseName } from "../../lib/reverse-name.ts";
import { tableGet } from "../../lib/table.ts";
import { nameServerOf } from "../../lib/zone-apex.ts";
import { addressesOfDevice, deviceOfName, ownName, type View, zoneViews } from "../dns-view.ts";
import { allowedNameKey, type Device, type DnsName, type State } from "../state.ts";
import type { Refusal } from "./command.ts";

/** Last labels that resolvers answer by themselves (RFC 6761, RFC 7686, RFC 9476, RFC 9462): a name there is heard by nobody. */
const SPECIAL = /(?:^|\.)(?:localhost|invalid|onion|alt|resolver\.arpa)$/;
export const isSpecialName = (name: string): boolean => SPECIAL.test(name);

/** Whether names of strangers are below it; an operator may say of one that it is private. */
export const hidesStrangers = ({ settings }: Pick<State, "settings">, name: string): boolean =>
  isPublicSuffix(name) && !settings.dns.privateZones.includes(name);

/** By it hosts find the NAT64 that all their traffic to IPv4 goes through (RFC 7050). */
const NAT64_NAME = "ipv4only.arpa";

/**
 * First labels below an apex that speak for all of a zone: for its certificates (RFC 8555 §8.4), and as the proxy and the
 * tunnel that hosts look for by themselves, which is why DNS servers of Windows take no updates of them.
 */
const FOR_ALL = /^(?:_acme-challenge|wpad|isatap)\./;

/** Each label above a name is a name that is looked up and counted, here and where it is served. Reverse names have 34. */
const LABELS_MAX = 16;

/**
 * Why a device may not publish a name (D3 of the product's features); null: it may. What is nobody's, nor below what is
 * somebody's, is whose comes first; a server may have any name, others what is below zones of ours; and everyone what an
 * operator said yes to.
 */
export function outOfScope(state: State, device: Device, view: View, name: string): Refusal | null {
  // Who has a name keeps it, whatever is published above it later.
  const isHeld = tableGet(state.names, name)?.device === device.id;
  return isHeld ? outOfRights(state, device, view, name) : outOfReach(state, device, view, name);
}

/** The same of a name that it is to have from now on. */
export function outOfReach(state: State, device: Device, view: View, name: string): Refusal | null {
  const refusal = outOfRights(state, device, view, name);
  if (refusal !== null || isAnswered(state, device, name)) return refusal;
  const above = placeOfAnother(state, device, view, name);
  return above === null ? null : pending(device, name, ` ${above}`);
}

function outOfRights(state: State, device: Device, view: View, name: string): Refusal | null {
  if (device.dns === "off") return withoutRight(device);
  const holder = tableGet(state.names, name);
  if (holder !== undefined && holder.device !== device.id) return held(state, holder);
  const reserved = reservedFor(state, device, name);
  if (reserved !== null) return denied(`${device.name} may not publish ${name}: ${reserved}`);
  return isAnswered(state, device, name) || isPermitted(state, device, view, name) ? null : pending(device, name);
}

export const withoutRight = ({ name }: Device): Refusal =>
  denied(`${name} may not publish names; \`portreeve device allow ${name} dns\` lets it`);

function held(state: State, { name, device }: DnsName): Refusal {
  if (device === null) return denied(`an operator made the records of ${name}; only an operator changes them`);
  return denied(`${name} is ${tableGet(state.devices, device)?.name ?? device}'s, which had it first`);
}

/** What no device may have, whatever its rights; null: it is free. */
function reservedFor(state: State, device: Device, name: string): string | null {
  if (!name.includes(".")) return "a name of one label is no device's to give";
  if (isSpecialName(name)) return "names like that are never asked for on the network";
  if (isWithin(name, NAT64_NAME)) return "hosts find their way out by it";
  if (isReverseName(name)) {
    const own = addressesOfDevice(state, device).some((address) => reverseName(address) === name);
    return own ? null : "it is not the reverse name of an address of its own";
  }
  const wanted = state.settings.dns.protectedNames.find((each) => isWithin(name, each));
  if (wanted !== undefined) return `${wanted} is protected by the configuration`;
  const [, parent = "", ...above] = suffixesOf(name);
  if (above.length + 2 > LABELS_MAX) return `a name of a device has ${LABELS_MAX} labels at most`;
  if (name.startsWith("*.") && (above.length === 0 || hidesStrangers(state, parent))) {
    return `it would stand for every name of ${parent}, where others register theirs`;
  }
  if (hidesStrangers(state, name)) return "others register names below it";
  // A delegated zone is the device's from its apex on.
  if (isDelegated(state, device, name)) return null;
  if (zoneViews(state, name) !== undefined) return "it is a zone of the gateway";
  const isBesideApex = name === `*.${parent}` || name === nameServerOf(parent) || FOR_ALL.test(name);
  if (isBesideApex && zoneViews(state, parent) !== undefined) return "in a zone it is the gateway's";
  for (const suffix of suffixesOf(name)) {
    const owner = deviceOfName(state, suffix);
    if (owner !== undefined && owner.id !== device.id) return `${suffix} is the name of ${owner.name}`;
    const delegate = tableGet(state.delegations, suffix);
    if (delegate !== undefined && delegate !== device.id) return `${suffix} is delegated to another device`;
  }
  return null;
}

/** An operator said yes to it, by its name or by a zone. */
function isAnswered(state: State, device: Device, name: string): boolean {
  if (isDelegated(state, device, name)) return true;
  // Mostly nothing was ever asked of an operator.
  if (isEmpty(state.allowedNames)) return false;
  return suffixesOf(name).some((suffix) => state.allowedNames[allowedNameKey(device.id, suffix)] !== undefined);
}

function isEmpty(record: object): boolean {
  for (const _key in record) return false;
  return true;
}

/** What is below a name is its owner's, as is what a wildcard answers for: there anybody else would speak in their place. */
function placeOfAnother(state: State, device: Device, view: View, name: string): string | null {
  const [, ...above] = suffixesOf(name);
  for (const suffix of above) {
    const views = zoneViews(state, suffix);
    // All devices have their names below the apex of a zone.
    for (const place of views === undefined ? [suffix, `*.${suffix}`] : [`*.${suffix}`]) {
      const holder = tableGet(state.names, place);
      if (holder !== undefined && place !== name && holder.device !== device.id)
        return `below ${place}, which is another's,`;
    }
    if (views !== undefined && views !== null && !views.includes(view.id))
      return `in ${suffix}, which is another network's,`;
  }
  return null;
}

function isPermitted(state: State, device: Device, view: View, name: string): boolean {
  if (device.dns !== "auto") return false;
  if (device.kind === "server" || isReverseName(name)) return true;
  const own = ownName(state, device);
  const zones = [...state.settings.dns.privateZones, view.zone, ...(own === null ? [] : [own])];
  return zones.some((zone) => isWithin(name, zone));
}

const isDelegated = (state: State, { id }: Device, name: string): boolean =>
  state.delegations.size > 0 && suffixesOf(name).some((suffix) => tableGet(state.delegations, suffix) === id);

function pending(device: Device, name: string, where = ""): Refusal {
  const message = `${device.name} asks for the name ${name}${where} and waits for a yes: \`portreeve device allow ${device.name} ${typed(name)}\``;
  return { code: "APPROVAL_PENDING", message, retryAfter: 30 };
}

/** As a shell takes it: a label may hold whatever octets the device likes. */
const typed = (name: string): string =>
  /^[a-z0-9._-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`;

const denied = (message: string): Refusal => ({ code: "NOT_AUTHORIZED", message });
