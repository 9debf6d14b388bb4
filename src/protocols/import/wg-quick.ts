import { formatIpv4, type Ipv4Prefix, parseIpv4Prefix, prefixContains, prefixText } from "../../lib/ip.ts";
import type { WgQuickConfig, WgQuickPeer } from "../wireguard-config/config.ts";
import { WireguardConfigError } from "../wireguard-config/error.ts";
import { parseWgQuick } from "../wireguard-config/parse.ts";
import { Collection } from "./collection.ts";
import { ImportError } from "./error.ts";
import type { Imported, PublicKeyOf, SourceFile } from "./model.ts";

interface Config {
  readonly name: string;
  readonly config: WgQuickConfig;
}

const DEFAULT_PORT = 51820;

/**
 * A folder of wg-quick files: the one of the server, which listens, and those of clients, as far as they are there: they
 * have names and private keys that the server's does not know.
 */
export function parseWgQuickFolder(files: readonly SourceFile[], publicKeyOf: PublicKeyOf): Imported {
  const configs = files.map(
    ({ name, text }): Config => ({ name: name.replace(/\.conf$/, ""), config: read(name, text) }),
  );
  const servers = configs.filter(({ config }) => config.interface.listenPort !== null);
  const [server, second] = servers;
  if (server === undefined) throw new ImportError("none of the files has a ListenPort: which one is the server's?");
  if (second !== undefined) {
    throw new ImportError(`${server.name} and ${second.name} both listen; import one at a time`);
  }
  const clients = new Map<string, Config>();
  for (const each of configs) {
    const { privateKey } = each.config.interface;
    if (each !== server && privateKey !== null) clients.set(publicKeyOf(privateKey), each);
  }
  return bring(server, clients);
}

function read(name: string, text: string): WgQuickConfig {
  try {
    return parseWgQuick(text);
  } catch (cause) {
    if (!(cause instanceof WireguardConfigError)) throw cause;
    throw new ImportError(`${name.slice(0, 64)}: ${cause.message}`);
  }
}

function bring({ name, config }: Config, clients: ReadonlyMap<string, Config>): Imported {
  const found = new Collection(`wg-quick ${name}`.slice(0, 63).trim());
  const { interface: own, peers } = config;
  found.gatewayKey = own.privateKey;
  if (own.privateKey === null)
    found.note("the server's file has no private key: every device needs a new configuration");
  if (own.listenPort !== DEFAULT_PORT) {
    found.note(`its devices know UDP port ${own.listenPort}: set wireguard.listenPort to that in the configuration`);
  }
  const prefixes = own.addresses.flatMap((text) => parseIpv4Prefix(text) ?? []);
  const subnets = prefixes.map((prefix, index) => {
    const called = index === 0 ? name : `${name} ${index + 1}`;
    return { prefix, name: found.subnet(called, { prefix: prefixText(prefix), wan: null, dns: { mode: "system" } }) };
  });
  for (const prefix of prefixes) noteGateway(found, prefix);
  if (prefixes.length < own.addresses.length) found.note("its IPv6 addresses are not imported");
  for (const peer of peers) bringPeer(found, peer, subnets, clients.get(peer.publicKey));
  for (const { event } of own.hooks)
    found.note(`a command in ${event} is not imported: see what it does, it may be a forward`);
  return found.end();
}

/** Clients only know the network; a resolver or a route may know the gateway's own address. */
function noteGateway(found: Collection, prefix: Ipv4Prefix): void {
  const first = parseIpv4Prefix(prefixText(prefix)) as Ipv4Prefix;
  if (prefix.address === first.address + 1) return;
  found.note(`the gateway's address is ${formatIpv4(first.address + 1)} here and was ${formatIpv4(prefix.address)}`);
}

function bringPeer(
  found: Collection,
  peer: WgQuickPeer,
  subnets: readonly { readonly prefix: Ipv4Prefix; readonly name: string }[],
  own: Config | undefined,
): void {
  const hosts = peer.allowedIps.flatMap((text) => {
    const host = parseIpv4Prefix(text);
    const subnet = host?.length === 32 ? subnets.find(({ prefix }) => prefixContains(prefix, host.address)) : undefined;
    return host === null || subnet === undefined ? [] : [{ address: formatIpv4(host.address), subnet: subnet.name }];
  });
  const [place] = hosts;
  const said = own?.name ?? nameIn(peer.comments);
  if (place === undefined) {
    found.note(`the peer ${said || "without a name"} has no address of its own in a subnet and is not imported`);
    return;
  }
  const name = found.device(
    said || `peer-${place.address}`,
    {
      kind: "client",
      ...place,
      publicKey: peer.publicKey,
      ports: "off",
      dns: "off",
      wan: null,
      profile: null,
    },
    { privateKey: own?.config.interface.privateKey ?? null, presharedKey: peer.presharedKey },
  );
  if (peer.allowedIps.length > 1) found.note(`${name} has ${place.address} here and none of its other AllowedIPs`);
}

/** "# phone", "# Name = phone", "# BEGIN_PEER phone", "### Client phone": what tools write above a peer. */
function nameIn(comments: readonly string[]): string {
  const [first = ""] = comments;
  return first.replace(/^(?:BEGIN_PEER|Client|Name\s*[:=]|friendly_name\s*=)\s*/i, "");
}
