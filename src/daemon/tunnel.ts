import type { DeviceConfigText, DeviceKeys, KeyWish, Tunnel } from "../api/deps.ts";
import { endpointAt } from "../lib/endpoint.ts";
import { readRoutes } from "../adapters/kernel/links.ts";
import { generateKeyPair, generatePresharedKey, publicKeyOf, textOf } from "../adapters/wireguard/keys.ts";
import type { Profile } from "../events/device.ts";
import type { SecretStore } from "../events/secrets.ts";
import { PortreeveError } from "../lib/errors.ts";
import { firstHost, formatIpv4, parseIpv4Prefix } from "../lib/ip.ts";
import { ipv6For, parseIpv6Prefix } from "../lib/ipv6.ts";
import type { PeerActivitySource } from "../lib/peer-activity.ts";
import { qrSvg } from "../lib/qr.ts";
import { renderClientConfig } from "../protocols/wireguard-config/client-config.ts";
import { wanOf } from "../reducers/device-wan.ts";
import { externalAddress } from "../reducers/external-address.ts";
import type { Device, State, Subnet } from "../reducers/state.ts";

export interface TunnelOptions {
  readonly state: () => State;
  readonly secrets: SecretStore;
  readonly activity: PeerActivitySource;
  /** `wireguard.endpoint` of the configuration: "auto", a host, or a host with port. */
  readonly endpoint: string;
}

/** WireGuard as the API needs it: keys are made and sealed here, and opened for one configuration at a time. */
export function createTunnel(options: TunnelOptions): Tunnel {
  const { secrets, activity } = options;
  return {
    activity,
    routes: readRoutes,
    sealKeys: async (wishes) => await sealKeys(secrets, wishes),
    publicKeyOf,
    configOf: async (device, chosen) => await configOf(options, device, chosen),
  };
}

async function sealKeys(secrets: SecretStore, wishes: readonly KeyWish[]): Promise<DeviceKeys[]> {
  const made = wishes.map(({ publicKey, privateKey = null, presharedKey = null }) => {
    const pair = publicKey === null ? generateKeyPair() : { publicKey, privateKey };
    const psk = { kind: "wireguard-psk", material: presharedKey ?? generatePresharedKey() };
    return { pair, psk, key: pair.privateKey === null ? [] : [{ kind: "wireguard-key", material: pair.privateKey }] };
  });
  const ids = await secrets.putAll(made.flatMap(({ psk, key }) => [psk, ...key]));
  let next = 0;
  return made.map(({ pair: { publicKey }, key }) => {
    const presharedKeySecret = ids[next++] as string;
    const privateKeySecret = key.length === 0 ? null : (ids[next++] as string);
    return { publicKey, privateKeySecret, presharedKeySecret };
  });
}

async function configOf(
  { state: now, secrets, endpoint: configured }: TunnelOptions,
  device: Device,
  { profile, endpoint }: { readonly profile: Profile; readonly endpoint: string | null },
): Promise<DeviceConfigText> {
  const state = now();
  const subnet = device.subnet === null ? undefined : state.subnets[device.subnet];
  const { wireguard: own } = state;
  const { presharedKeySecret } = device;
  if (subnet === undefined || own === null || presharedKeySecret === null || state.settings.wireguard === null) {
    throw new PortreeveError("NOT_READY", "WireGuard is off: `wireguard` in the configuration is null", "terminal");
  }
  const opened = async (id: string): Promise<string> => textOf(await secrets.open(id));
  const text = renderClientConfig({
    profile,
    deviceName: device.name,
    address: device.address,
    subnet: subnet.prefix,
    ipv6: ipv6Of(subnet, device.address),
    privateKey: device.privateKeySecret === null ? null : await opened(device.privateKeySecret),
    presharedKey: await opened(presharedKeySecret),
    serverPublicKey: own.publicKey,
    endpoint: endpointText(endpoint ?? configured, state, device),
    dns: resolverOf(subnet, state),
  });
  return { text, qr: qrSvg(text), notes: notesOn(device, profile) };
}

/** The gateway itself; no program takes a port there, so at another one nobody finds it. */
function resolverOf({ prefix }: Subnet, { settings }: State): string | null {
  const network = parseIpv4Prefix(prefix);
  return network === null || settings.dns.listenPort !== 53 ? null : formatIpv4(firstHost(network).address);
}

function ipv6Of({ ipv6Prefix }: Subnet, address: string): { address: string; prefix: string } | null {
  const prefix = ipv6Prefix === null ? null : parseIpv6Prefix(ipv6Prefix);
  return prefix === null || ipv6Prefix === null ? null : { address: ipv6For(prefix, address), prefix: ipv6Prefix };
}

/** "auto" is the address of the device's WAN. */
function endpointText(named: string, state: State, device: Device): string {
  const port = state.settings.wireguard?.listenPort ?? 51820;
  if (named !== "auto") {
    const text = endpointAt(named, port);
    if (text !== null) return text;
    throw new PortreeveError(
      "INVALID_REQUEST",
      "the endpoint must be a host or an address, as in gw.example.org:51820",
      "refused",
    );
  }
  const wan = wanOf(state, device);
  const address = wan === null ? null : externalAddress(state, wan);
  if (address !== null) return `${address}:${port}`;
  const message =
    "the gateway has no public address to name as endpoint; set wireguard.endpoint, or ask with --endpoint HOST";
  throw new PortreeveError("NO_EXTERNAL_ADDRESS", message, "transient");
}

function notesOn(device: Device, profile: Profile): string[] {
  const notes: string[] = [];
  if (device.privateKeySecret === null) {
    notes.push("the private key is not kept here: put the device's own in its place");
  }
  const inbound = "with the profile inbound it sees visitors as they are, and answers them";
  if (profile === "starttunnel") {
    notes.push(
      "of what is forwarded from the internet only StartOS takes packets with the addresses of visitors: on anything else " +
        `AllowedIPs drops them, so give its forwards \`--source gateway\`, as in \`portreeve port edit 8443/tcp --source gateway\`; ${inbound}`,
    );
  }
  if (profile === "split") {
    notes.push(
      "AllowedIPs drops packets with the addresses of visitors, so its forwards show it the gateway's (`--source gateway`) " +
        `unless you say otherwise; ${inbound}`,
    );
  }
  return notes;
}
