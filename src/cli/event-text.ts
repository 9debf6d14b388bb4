import type { RecordDocument } from "../api/schemas/history.ts";
import type { EventData, EventType } from "../events/index.ts";
import { UNMADE_KEY } from "../lib/wireguard-key.ts";
import { type Paint, printable } from "./terminal.ts";

/** One record on one line. */
export function recordLine(record: RecordDocument, paint: Paint): string {
  const time = record.at.slice(0, 19).replace("T", " ");
  const head = `${String(record.seq).padStart(6)}  ${time}`;
  const [source, type] = [record.source.padEnd(10), record.type.padEnd(18)];
  const text = printable(`${source}  ${type}  ${eventText(record.type, record.data)}`.trimEnd());
  return `${paint("dim", head)}  ${text}\n`;
}

/** What an event says, in few words; one this version does not know by its data. */
export function eventText(type: string, data: unknown): string {
  const text = TEXTS[type as EventType] as ((data: unknown) => string) | undefined;
  return text === undefined ? JSON.stringify(data) : text(data);
}

const TEXTS: { readonly [T in EventType]: (data: EventData<T>) => string } = {
  "authority.created": () => "the certificate authority of the admin API",
  "allowance.granted": (data) => `${data.device} may open ${data.internalPort}/${data.protocol}`,
  "allowance.withdrawn": (data) => `${data.device} may open ${data.internalPort}/${data.protocol} no more`,
  "block.lifted": (data) => `${data.device} may ask for ${data.internalPort}/${data.protocol} again`,
  "block.set": (data) => `${data.device} may not ask for ${data.internalPort}/${data.protocol}`,
  "clock.noted": () => "nothing else happened",
  "confirmation.awaited": (data) => `${data.id} until ${new Date(data.until).toISOString()}, else it is undone`,
  "confirmation.given": (data) => data.id,
  "confirmation.lapsed": (data) => `${data.id}${data.kept.length === 0 ? "" : `, but ${data.kept.join("; ")}`}`,
  "controller.started": (data) => `version ${data.version}${data.afterCleanStop ? "" : ", after an unclean stop"}`,
  "controller.stopped": () => "cleanly",
  "device.added": (data) => `${data.name} ${data.address}, a ${data.kind} (${data.id})`,
  "device.changed": ({ id, ...fields }) => `${id}: ${fieldsText(fields)}`,
  "device.removed": (data) => `${data.id} by ${data.reason}`,
  "dns.updated": ({ device, added, removed, retimed, lifetime }) => {
    const names = [...new Set(added.map(({ name, type }) => `${name} ${type}`))];
    const rest = [
      ...(removed.length > 0 ? [`${removed.length} removed`] : []),
      ...(retimed.length > 0 ? [`${retimed.length} retimed`] : []),
    ];
    return `${device}: ${[...names, ...rest].join(", ")} ${lifetimeText(lifetime)}`;
  },
  "epoch.advanced": (data) =>
    `by ${Math.round(data.byMs / 1000)} s, as much as clients may have been told beyond the log`,
  "epoch.reset": (data) => data.reason,
  "instance.taken-over": (data) => `from ${data.from}`,
  "interface.lost": (data) => data.name,
  "interface.observed": ({ name, up, addresses, gateway }) => {
    const leads = gateway === null ? "" : gateway === "link" ? " leads on by itself" : ` via ${gateway}`;
    return `${name} ${up ? addresses.join(" ") || "without address" : "down"}${leads}`;
  },
  "lease.changed": ({ mappingId, claimKey, lifetime, expiresAt: _end, ...fields }) =>
    [mappingId, claimKey, lifetimeText(lifetime), fieldsText(fields)].filter((part) => part !== "").join(" "),
  "lease.expired": (data) => `${data.mappingId} ${data.claimKey}`,
  "lease.granted": (data) => `${data.mappingId} ${data.claim.key} ${lifetimeText(data.claim.lifetime)}`,
  "lease.released": (data) => `${data.mappingId} ${data.claimKey} by ${data.reason}`,
  "leases.renewed": (data) => `${data.deadlines.length} deadlines`,
  "listeners.observed": (data) => `${data.listeners.length} listeners of the gateway`,
  "mapping.changed": ({ id, ...fields }) => `${id}: ${fieldsText(fields)}`,
  "mapping.granted": (data) => {
    const ports =
      data.count === 1 ? `${data.externalPort}` : `${data.externalPort}-${data.externalPort + data.count - 1}`;
    const host = data.internalAddress;
    const to = `${host.includes(":") ? `[${host}]` : host}:${data.internalPort}`;
    const name = data.name === null ? "" : ` for ${data.name}`;
    return `${ports}/${data.protocol}${name} → ${to} ${lifetimeText(data.claim.lifetime)} (${data.id})`;
  },
  "mapping.restored": (data) =>
    `${data.externalPort}/${data.protocol}${data.name === null ? "" : ` for ${data.name}`} as it was (${data.id})`,
  "name.allowed": (data) => `${data.device} may publish ${data.name}`,
  "name.withdrawn": (data) => `${data.device} may publish ${data.name} no more`,
  "password.set": (data) => data.reason,
  "record.added": (data) => `${data.name} ${data.type} ${data.value} (${data.id})`,
  "record.changed": ({ id, ...fields }) => `${id}: ${fieldsText(fields)}`,
  "record.removed": (data) => `${data.id} by ${data.reason}`,
  "records.renewed": (data) => `${data.deadlines.length} deadlines`,
  "reconciler.paused": (data) => `${data.name} until ${new Date(data.until).toISOString()}`,
  "reconciler.resumed": (data) => data.name,
  "sign-in-link.issued": (data) => `until ${new Date(data.expiresAt).toISOString()}`,
  "token.created": (data) => {
    const end = data.expiresAt === null ? "without end" : `until ${new Date(data.expiresAt).toISOString()}`;
    return `${data.name} may ${data.scopes.join(", ")} ${end} (${data.id})`;
  },
  "token.revoked": (data) => data.id,
  "totp.disabled": () => "no code is asked for any more",
  "totp.enabled": () => "a code is asked for at each sign-in",
  "secret.shown": (data) => `${data.what} of ${data.device}`,
  "settings.changed": (data) =>
    `wan ${data.settings.wan.interfaces.join(",")} lan ${data.settings.lan.map((lan) => lan.interface).join(",")}`,
  "subnet.added": (data) => `${data.name} ${data.prefix} (${data.id})`,
  "subnet.changed": ({ id, ...fields }) => `${id}: ${fieldsText(fields)}`,
  "subnet.removed": (data) => data.id,
  "wireguard.keyed": (data) => `our public key is ${data.publicKey}`,
};

const lifetimeText = (seconds: number | null): string => (seconds === null ? "without end" : `for ${seconds} s`);

/** "ports off, dns off". Which secret holds a key says nothing to a person; that none does any more, does. */
function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  const said = Object.entries(fields).flatMap(([field, value]) => {
    if (field === "publicKey")
      return [`key ${value === null ? "none" : textOf(value).replace(UNMADE_KEY, "a new one")}`];
    if (field === "privateKeySecret") return value === null ? ["its private key erased here"] : [];
    if (field === "presharedKeySecret" || field === "dnsKeySecret") return [];
    if (value === null) return [`${field} none`];
    return [`${field} ${textOf(value)}`];
  });
  return said.join(", ");
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
