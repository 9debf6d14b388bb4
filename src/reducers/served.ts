import type { State } from "./state.ts";

/** An interface whose hosts we serve: a configured LAN, or WireGuard while a device is on one of our subnets. */
export interface Served {
  readonly interface: string;
  readonly nonce: "strict" | "same-host";
  /** Who may map there: every address to itself, or only registered devices. */
  readonly devices: "any" | "known";
  /** Our WireGuard interface: its packets' sources are proven, and nothing is multicast there. */
  readonly tunnel: boolean;
}

type Serving = Pick<State, "settings" | "tunnelled" | "wireguard">;

/** Our WireGuard interface, once it has a key and somebody to talk to. */
export function tunnelInterface({ settings, tunnelled, wireguard }: Serving): string | null {
  return tunnelled === 0 || wireguard === null ? null : (settings.wireguard?.interface ?? null);
}

export function servedInterfaces(state: Serving): Served[] {
  const lans = state.settings.lan.map((lan) => ({ ...lan, tunnel: false }));
  const name = tunnelInterface(state);
  const nonce = state.settings.wireguard?.nonce ?? "same-host";
  return name === null ? lans : [...lans, { interface: name, nonce, devices: "known", tunnel: true }];
}

export function servedInterface(state: Serving, name: string): Served | undefined {
  const lan = state.settings.lan.find((each) => each.interface === name);
  if (lan !== undefined) return { ...lan, tunnel: false };
  return name === tunnelInterface(state) ? servedInterfaces(state).at(-1) : undefined;
}

/**
 * Where hosts of an interface are, as for `deviceKey`: null for our subnets, however WireGuard's interface is called or
 * was called when something was granted there.
 */
export function siteOf({ settings }: Pick<Serving, "settings">, name: string): string | null {
  return settings.lan.some((lan) => lan.interface === name) ? name : null;
}

/** The interface a registered device is reached by; null while there is none. */
export function siteInterface(state: Serving, device: { readonly interface: string | null }): string | null {
  return device.interface ?? tunnelInterface(state);
}
