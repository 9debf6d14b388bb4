import { mappingsOf } from "./device-mappings.ts";
import { deviceAt, profileOf } from "./device.ts";
import { portName } from "./objects/port.ts";
import { heldByOperator } from "./operator-holds.ts";
import { isOpen } from "./reach.ts";
import { siteOf, tunnelInterface } from "./served.ts";
import type { Device, Mapping, State } from "./state.ts";
import { seenSource } from "./served-device.ts";

/**
 * Visitors that a device in the tunnel cannot answer: in the profiles `starttunnel` and `split` its AllowedIPs take
 * packets of the tunnel's own addresses alone, and drop those that a forward sends on with a visitor's. StartOS alone
 * does not go by AllowedIPs, and `starttunnel` is made for it.
 */
export interface Unanswered {
  readonly device: string;
  readonly profile: "starttunnel" | "split";
  /** "8443/tcp". */
  readonly port: string;
  /** An operator's, whose `source` can be chosen. */
  readonly manual: boolean;
}

export function unansweredOf(state: State, mapping: Mapping): Unanswered | null {
  if (!isOpen(mapping) || mapping.interface === null || tunnelInterface(state) === null) return null;
  if (siteOf(state, mapping.interface) !== null) return null;
  const device = deviceAt(state, null, mapping.internalAddress);
  return device === undefined ? null : unansweredBy(device, mapping);
}

/** Of every forward to a device. */
export function unansweredTo(state: State, device: Device): Unanswered[] {
  return mappingsOf(state, device).flatMap((mapping) => unansweredOf(state, mapping) ?? []);
}

function unansweredBy(device: Device, mapping: Mapping): Unanswered | null {
  const profile = profileOf(device);
  if ((profile !== "starttunnel" && profile !== "split") || seenSource(mapping, device) === "gateway") return null;
  return { device: device.name, profile, port: portName(mapping), manual: heldByOperator(mapping) };
}

/** What is the matter with it, and what helps: sentences without their full stop. */
export function unansweredText({ device, profile, port, manual }: Unanswered): { what: string; fix: string } {
  const dropped = "its AllowedIPs drop packets with the addresses of visitors";
  const what =
    profile === "split"
      ? `${device} answers no visitor of ${port}: it has the profile split, and ${dropped}`
      : `${device} answers visitors of ${port} only if it is StartOS: of any other peer with the profile starttunnel ${dropped}`;
  const keep = manual ? "" : `\`portreeve port keep ${port}\` and then `;
  const fix = `${keep}\`portreeve port edit ${port} --source gateway\` shows it the gateway instead; the profile inbound takes visitors as they are`;
  return { what, fix };
}
