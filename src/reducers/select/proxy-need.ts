import { knownWans } from "../external-address.ts";
import { mappingAt, mappingsSharing } from "../port-index.ts";
import { isOpen } from "../reach.ts";
import type { Mapping, State } from "../state.ts";

export const HTTP_PORT = 80;
const HTTPS_PORT = 443;

type Needing = Pick<State, "shared" | "settings">;

/** Whether HAProxy is to run: somebody shares a port by name, or HTTP is to be sent to HTTPS whatever there is. */
export const needsProxy = ({ shared, settings }: Needing): boolean =>
  shared.size > 0 || settings.wan.httpRedirect === "on";

/** Whoever has something on port 80 of a WAN, switched on or not: the redirect keeps away from it. */
const hasHttp = (state: State, wan: string): boolean =>
  mappingAt(state, wan, "tcp", HTTP_PORT) !== undefined || mappingsSharing(state, wan, "tcp", HTTP_PORT).length > 0;

/**
 * Whether HTTP to an address that these WANs have is sent to HTTPS, and for whose sake: "settings", or the routes on 443.
 * Null: it is not.
 */
export function redirectFor(state: State, wans: readonly string[]): readonly (Mapping | "settings")[] | null {
  const choice = state.settings.wan.httpRedirect ?? "auto";
  if (choice === "off" || wans.length === 0) return null;
  const { listeners, settings } = state;
  if (listeners.some(({ protocol, port }) => protocol === "tcp" && port === HTTP_PORT)) return null;
  if (settings.portControl.protectedPorts.includes(HTTP_PORT)) return null;
  if (wans.some((wan) => hasHttp(state, wan))) return null;
  if (choice === "on") return ["settings"];
  const routes = wans.flatMap((wan) => mappingsSharing(state, wan, "tcp", HTTPS_PORT)).filter(isOpen);
  return routes.length === 0 ? null : routes;
}

/** What has port 80 where an operator wants HTTP sent to HTTPS, a text each: the redirect leaves it to them. */
export function redirectRivals(state: State): string[] {
  const { settings, listeners } = state;
  if (settings.wan.httpRedirect !== "on") return [];
  if (listeners.some(({ protocol, port }) => protocol === "tcp" && port === HTTP_PORT)) {
    return ["a program on the gateway itself listens there"];
  }
  if (settings.portControl.protectedPorts.includes(HTTP_PORT)) return ["the port is in portControl.protectedPorts"];
  const mappings = knownWans(state).flatMap((wan) => [
    ...[mappingAt(state, wan, "tcp", HTTP_PORT) ?? []].flat(),
    ...mappingsSharing(state, wan, "tcp", HTTP_PORT),
  ]);
  return mappings.map(({ id, wan, internalAddress, name }) => {
    return `${name === null ? "a forward" : `the route ${name}`} to ${internalAddress} (${id}) on ${wan}`;
  });
}

/** Whether a mapping has a say in that. */
export const concernsRedirect = ({ protocol, externalPort, count, name }: Mapping): boolean =>
  protocol === "tcp" &&
  ((externalPort <= HTTP_PORT && HTTP_PORT < externalPort + count) || (name !== null && externalPort === HTTPS_PORT));

export const ownerIds = (owners: readonly (Mapping | "settings")[]): string[] =>
  owners.map((owner) => (owner === "settings" ? owner : owner.id)).sort();

/** Number of the record that the first of them is as it is by. */
export function sinceOf([first]: readonly (Mapping | "settings")[]): number {
  return first === undefined || first === "settings" ? 0 : first.specRevision;
}
