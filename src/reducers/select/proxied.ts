import type { Transport } from "../../events/fields.ts";
import { parseIpv4, withoutLength } from "../../lib/ip.ts";
import { REDIRECT_PORT, TLS_PORT } from "../../lib/proxy-ports.ts";
import { tableEntries } from "../../lib/table.ts";
import { mappingAt, mappingsSharing } from "../port-index.ts";
import { isOpen } from "../reach.ts";
import type { Mapping, State } from "../state.ts";
import { wanAddress } from "../external-address.ts";
import { namedWans } from "./forward-keys.ts";
import { redirectFor } from "./proxy-need.ts";

/** What the kernel hands to a local port of our HAProxy instead of forwarding it. */
export interface Proxied {
  readonly interface: string;
  /** The machine's own, with which it arrives there. */
  readonly address: string;
  readonly port: number;
  /** The hosts that HAProxy connects to in turn. */
  readonly targets: readonly Pick<Mapping, "internalAddress" | "internalPort" | "interface">[];
}

/** Port by port of HAProxy, only while something leads there. */
export function proxiedOf(state: State): Proxied[] {
  const routes = openRoutes(state);
  return namedWans(state).flatMap((wan): Proxied[] => {
    const address = wanAddress(state, wan)?.matched;
    const own = address === undefined ? undefined : interfaceOf(state, wan, address);
    if (address === undefined || own === undefined) return [];
    const targets = routes.filter((route) => route.wan === wan);
    const place = { interface: own, address };
    return [
      ...(targets.length > 0 ? [{ ...place, port: TLS_PORT, targets }] : []),
      ...(redirectFor(state, [wan]) === null ? [] : [{ ...place, port: REDIRECT_PORT, targets: [] }]),
    ];
  });
}

/** With who has the rest of a shared port: HAProxy leads there as well. */
function openRoutes(state: State): Mapping[] {
  return [...tableEntries(state.shared)].flatMap(([key]) => {
    const [wan = "", protocol, port] = key.split("|");
    const place = [state, wan, protocol as Transport, Number(port)] as const;
    const named = mappingsSharing(...place).filter(isOpen);
    const rest = mappingAt(...place);
    return named.length > 0 && rest !== undefined && isOpen(rest) ? [...named, rest] : named;
  });
}

/** A WAN may be one of an interface's addresses. */
function interfaceOf({ settings, interfaces }: State, wan: string, address: string): string | undefined {
  if (parseIpv4(wan) === null) return wan;
  const has = (name: string) => interfaces[name]?.addresses.some((cidr) => withoutLength(cidr) === address);
  return settings.wan.interfaces.find(has);
}
