import type { DeviceDocument, TrafficDocument } from "../api/schemas/device.ts";
import { whenText } from "./duration.ts";
import type { Paint } from "./terminal.ts";
import { textFields } from "./text-table.ts";
import { bytesText, trafficLines } from "./traffic-text.ts";

/** One device in full. `traffic`: null on a LAN, where nobody counts it. */
export function deviceDetails(
  device: DeviceDocument,
  traffic: TrafficDocument | null,
  now: number,
  paint: Paint,
): string {
  const { rights, tunnel, quota } = device;
  const fields: [string, string | string[]][] = [
    ["id", device.id],
    ["name", device.name],
    ["kind", device.kind ?? "not registered"],
    ["on", device.subnet?.name ?? device.interface ?? "nothing that is there"],
    ["address", device.ipv6 === null ? device.address : [device.address, device.ipv6]],
    ["may", rights === null ? "open ports as anyone there" : `ports ${rights.ports}, names ${rights.dns}`],
    ...(device.dnsName === null
      ? []
      : [
          ["called", [device.dnsName, ...device.zones.map((zone) => `${zone} and all below it`)]] as [string, string[]],
        ]),
    ...(device.mapsFor.length === 0 ? [] : [["asks for", device.mapsFor] as [string, string[]]]),
    ["holds", `${device.ports} of ${quota.ports} ports`],
    ["leaves by", device.externalAddress ?? "no public address now"],
    ["ends", whenText(device.expiresAt, now)],
  ];
  if (tunnel !== null) {
    fields.push(
      ["profile", device.profile ?? ""],
      [
        "key",
        `${device.publicKey}, ${device.privateKeyKept ? "its private key is kept here" : "its private key is its own"}`,
      ],
      ["handshake", tunnel.handshakeAt === null ? "never yet" : whenText(tunnel.handshakeAt, now)],
      ["endpoint", tunnel.endpoint ?? "not known yet"],
      ["received", bytesText(tunnel.receivedBytes)],
      ["sent", bytesText(tunnel.sentBytes)],
    );
  }
  if (traffic !== null) fields.push([traffic.span === "day" ? "last day" : "last 15 min", trafficLines(traffic)]);
  if (device.managedBy !== null) fields.push(["managed by", device.managedBy]);
  return textFields(fields, paint);
}
