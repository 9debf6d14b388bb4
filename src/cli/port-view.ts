import type { Port } from "../api/schemas/port.ts";
import { isIpv6 } from "../lib/ipv6.ts";
import { whenText } from "./duration.ts";
import type { Paint, Style } from "./terminal.ts";
import { type Cell, textFields, textTable } from "./text-table.ts";

const portsText = (first: number, count: number): string =>
  count === 1 ? `${first}` : `${first}-${first + count - 1}`;

/** "8443/tcp", "49152-49251/udp": also what a `PORT` argument takes. */
export const externalText = ({ external, count, protocol }: Port): string =>
  `${portsText(external.port, count)}/${protocol}`;

const internalText = ({ internal, count }: Port): string =>
  `${isIpv6(internal.address) ? `[${internal.address}]` : internal.address}:${portsText(internal.port, count)}`;

/** Nothing is translated: whoever is let in sees the host as it is. */
const isPinhole = ({ internal }: Port): boolean => isIpv6(internal.address);

const STATE_STYLES: Readonly<Record<string, Style>> = { synced: "green", pending: "yellow", error: "red" };

export function stateCell(port: Port): Cell {
  if (!port.enabled && port.sync === "synced") return { text: "disabled", style: "dim" };
  const style = STATE_STYLES[port.sync];
  return { text: port.sync, ...(style !== undefined && { style }) };
}

export function portTable(ports: readonly Port[], now: number, paint: Paint): string {
  if (ports.length === 0) {
    return "No port is open. Open one with `portreeve port add 8080/tcp HOST`, or let a device ask by PCP or NAT-PMP.\n";
  }
  const rows = ports.map((port) => [
    externalText(port),
    internalText(port),
    sourcesText(port),
    port.label ?? "",
    whenText(port.expiresAt, now),
    stateCell(port),
    { text: port.id, style: "dim" as const },
  ]);
  const errors = ports.filter((port) => port.error !== null).map((port) => `${externalText(port)}: ${port.error}\n`);
  const table = textTable(["PORT", "TO", "SOURCE", "LABEL", "ENDS", "STATE", "ID"], rows, paint);
  return errors.length === 0 ? table : `${table}\n${errors.join("")}`;
}

/** The oldest claim's source first, each once. */
export const sourcesText = ({ claims }: Port): string => [...new Set(claims.map((claim) => claim.source))].join("+");

/** `more`: what is to be said of it besides. */
export function portDetails(port: Port, now: number, paint: Paint, more: readonly [string, string][] = []): string {
  const { external, claims, device, label, enabled, conditions } = port;
  const fields: [string, string | string[]][] = [
    ["id", port.id],
    ...more,
    ["port", `${externalText(port)} at ${external.address ?? `${port.wan}, which has no address`}`],
    ["to", internalText(port)],
    ["from", port.from.length === 0 ? "anywhere" : port.from],
    ...(isPinhole(port) ? [["kind", "a pinhole: let in as it is, nothing is translated"] as [string, string]] : []),
    ["source", port.sourceAddress === "keep" ? "visitors' own addresses" : "the gateway's address"],
    ["label", label ?? "none"],
    ["device", deviceText(device)],
    ["claims", claims.map((claim) => claimText(claim, now))],
    ["enabled", enabled ? "yes" : "no"],
    ["state", `${port.sync}: ${port.error ?? conditions[0]?.message ?? ""}`],
    ["revision", `${port.revision}, observed ${port.observedRevision}`],
  ];
  return textFields(fields, paint);
}

function deviceText(device: Port["device"]): string {
  if (device === null) return "none: the address is on no network that is served";
  return device.id.startsWith(device.name) ? device.id : `${device.name} (${device.id})`;
}

function claimText(claim: Port["claims"][number], now: number): string {
  const { source, device, expiresAt, peers, description, enabled } = claim;
  const who = `${source}${device === null ? "" : ` by ${device}`}`;
  const said = [
    ...(description === null ? [] : [`"${description}"`]),
    `ends ${whenText(expiresAt, now)}`,
    ...(peers.length === 0 ? [] : [`for ${peers.join(" ")}`]),
    ...(enabled ? [] : ["not to be forwarded now"]),
  ];
  return [who, ...said].join(", ");
}
