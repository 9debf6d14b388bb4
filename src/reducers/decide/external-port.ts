import type { Transport } from "../../events/fields.ts";
import { PROXY_PORTS } from "../../lib/proxy-ports.ts";
import { RESERVED_FIRST } from "../../lib/reserved-ports.ts";
import { tableGet } from "../../lib/table.ts";
import { mappingAt, mappingsSharing } from "../port-index.ts";
import { externalKey, type Mapping, type State } from "../state.ts";

/** What is chosen for a device that has no preference: above the well-known ports. */
export const POOL_FIRST = 1024;
const POOL_SIZE = RESERVED_FIRST - POOL_FIRST;

/** Port control's own: never mapped whatever listens (RFC 6887 §19.1: 5350 and 5351; UPnP: 1900). */
export const CONTROL_PORTS: ReadonlySet<number> = new Set([1900, 5350, 5351]);

export type Hindrance =
  | { readonly kind: "protected"; readonly why: string }
  | { readonly kind: "taken"; readonly mapping: Mapping }
  | { readonly kind: "quarantined"; readonly until: number }
  | { readonly kind: "companion"; readonly mapping: Mapping };

/** Why nobody may map an external port, whoever asks. */
export function protection(state: State, protocol: Transport, port: number): string | null {
  if (port >= RESERVED_FIRST) return `ports from ${RESERVED_FIRST} up are kept for masquerading`;
  if (protocol === "tcp" && PROXY_PORTS.has(port)) return "the port belongs to routing by name, inside of the gateway";
  if (protocol === "tcp" && port === 80 && state.settings.wan.httpRedirect === "on") {
    return "HTTP is sent to HTTPS there (wan.httpRedirect)";
  }
  if (protocol === "udp" && CONTROL_PORTS.has(port)) return "the port belongs to port control itself";
  if (state.settings.portControl.protectedPorts.includes(port)) return "the port is in portControl.protectedPorts";
  if (state.listeners.some((listener) => listener.port === port && listener.protocol === protocol)) {
    return "a program on the gateway itself listens there";
  }
  return null;
}

/** What keeps a device from having an external port, or null if it may. */
export function hindrance(
  state: State,
  place: {
    wan: string;
    protocol: Transport;
    port: number;
    /** Nobody can share it, as only some are to come in by it. */
    alone?: boolean;
  },
  device: string,
  now: number,
): Hindrance | null {
  const why = protection(state, place.protocol, place.port);
  if (why !== null) return { kind: "protected", why };
  const mapping = mappingAt(state, place.wan, place.protocol, place.port);
  if (mapping !== undefined) return { kind: "taken", mapping };
  const [named] = place.alone === true ? mappingsSharing(state, place.wan, place.protocol, place.port) : [];
  if (named !== undefined) return { kind: "taken", mapping: named };
  const kept = tableGet(state.quarantine, externalKey(place.wan, place.protocol, place.port));
  if (kept !== undefined && kept.until > now && kept.device !== device)
    return { kind: "quarantined", until: kept.until };
  // RFC 6886 §3.3: the companion port of the other transport stays with the client that holds this one by NAT-PMP.
  const companion = mappingAt(state, place.wan, place.protocol === "tcp" ? "udp" : "tcp", place.port);
  if (companion !== undefined && companion.internalAddress !== device) {
    if (companion.claims.some((claim) => claim.source === "natpmp")) return { kind: "companion", mapping: companion };
  }
  return null;
}

/** The same for whoever asked: what keeps the port, and the mapping that does. */
export function hindranceText(
  { protocol, port }: { protocol: Transport; port: number },
  hindered: Hindrance,
): { readonly message: string; readonly conflicts: readonly string[] } {
  const asked = `${protocol} ${port}`;
  switch (hindered.kind) {
    case "protected":
      return { message: `${asked} cannot be mapped: ${hindered.why}`, conflicts: [] };
    case "quarantined":
      return { message: `${asked} was another device's until a moment ago`, conflicts: [] };
    case "companion":
    case "taken": {
      const { id, internalAddress, internalPort } = hindered.mapping;
      return { message: `${asked} is kept for ${internalAddress}:${internalPort} (${id})`, conflicts: [id] };
    }
  }
}

/** A free external port for a device that gets none of those it named: the internal number if that is high enough, else by entropy. */
export function choosePort(
  state: State,
  place: { wan: string; protocol: Transport; preferred: readonly number[]; alone?: boolean },
  device: string,
  choice: { now: number; entropy: number },
): number | null {
  const free = (port: number): boolean => hindrance(state, { ...place, port }, device, choice.now) === null;
  for (const port of place.preferred) if (port > 0 && free(port)) return port;
  for (let step = 0; step < POOL_SIZE; step += 1) {
    const port = POOL_FIRST + ((choice.entropy + step) % POOL_SIZE);
    // What is left of a port that names share is for who asks for it.
    if (mappingsSharing(state, place.wan, place.protocol, port).length === 0 && free(port)) return port;
  }
  return null;
}
