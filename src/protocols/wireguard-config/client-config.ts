import { assert } from "../../lib/assert.ts";
import { parseIpv4, parseIpv4Prefix, prefixText } from "../../lib/ip.ts";
import { ipv6Network, parseIpv6Prefix } from "../../lib/ipv6.ts";
import { PRIVATE_KEY_PLACEHOLDER } from "./config.ts";

/**
 * `starttunnel`: as StartTunnel writes it, for StartOS. `inbound`: takes connections from anywhere and leaves the rest
 * of the machine alone. `full`: all of the device's traffic. `split`: the subnet's only.
 */
export type ClientProfile = "starttunnel" | "inbound" | "full" | "split";

/** All that a device's configuration is made of. Addresses and keys in canonical form. */
export interface ClientConfig {
  readonly profile: ClientProfile;
  readonly deviceName: string;
  readonly address: string;
  /** "10.59.7.0/24", or with our own address in it. */
  readonly subnet: string;
  /** The device's address in "fd12::/64"; null where the subnet has no IPv6. */
  readonly ipv6: { readonly address: string; readonly prefix: string } | null;
  /** Null where the device made its key itself: a placeholder stands there. */
  readonly privateKey: string | null;
  readonly presharedKey: string;
  readonly serverPublicKey: string;
  /** "11.22.33.1:51820" */
  readonly endpoint: string;
  /** Who answers its DNS queries; null: no line. */
  readonly dns: string | null;
}

/** Keeps the way open through the NAT in front of the device. */
const KEEPALIVE_SECONDS = 25;
const EVERYTHING = { ipv4: "0.0.0.0/0", ipv6: "::/0" };

/** The text of a wg-quick file. For `starttunnel` each byte is as in StartTunnel's `client.conf.template`. */
export function renderClientConfig(config: ClientConfig): string {
  assert(!/\p{Cc}/u.test(config.deviceName), "a name without control characters");
  const brand = config.profile === "starttunnel" ? "StartTunnel" : "Portreeve";
  const line = (key: string, value: string | number | null): string[] => (value === null ? [] : [`${key} = ${value}`]);
  return [
    `# ${brand} config for ${config.deviceName}`,
    // StartOS takes a configuration with this line for one that connections come in by.
    ...(config.profile === "inbound" ? ["# inbound: yes"] : []),
    "",
    "[Interface]",
    ...line("Address", addresses(config)),
    ...line("PrivateKey", config.privateKey ?? PRIVATE_KEY_PLACEHOLDER),
    // A machine that only takes connections keeps its own resolver.
    ...line("DNS", config.profile === "inbound" ? null : config.dns),
    ...(config.profile === "inbound" ? replyRouting(config) : []),
    "",
    "[Peer]",
    ...line("PublicKey", config.serverPublicKey),
    ...line("PresharedKey", config.presharedKey),
    ...line("AllowedIPs", allowedIps(config)),
    ...line("Endpoint", config.endpoint),
    ...line("PersistentKeepalive", KEEPALIVE_SECONDS),
    "",
  ].join("\n");
}

/** With the subnet's prefix length, so that the kernel has a route to it where wg-quick makes none. */
function addresses({ profile, address, subnet, ipv6 }: ClientConfig): string {
  const ipv4 = `${address}/${parsedSubnet(subnet).length}`;
  if (ipv6 === null) return ipv4;
  return `${ipv4}, ${ipv6.address}/${profile === "inbound" ? parsedIpv6(ipv6.prefix).length : 128}`;
}

function allowedIps({ profile, subnet, ipv6 }: ClientConfig): string {
  const network = prefixText(parsedSubnet(subnet));
  switch (profile) {
    case "starttunnel":
      return ipv6 === null ? network : `${network}, ${EVERYTHING.ipv6}`;
    case "inbound":
      return ipv6 === null ? EVERYTHING.ipv4 : `${EVERYTHING.ipv4}, ${EVERYTHING.ipv6}`;
    case "full":
      // IPv6 too where the tunnel has none: what does not go through it would go past it.
      return `${EVERYTHING.ipv4}, ${EVERYTHING.ipv6}`;
    case "split":
      return ipv6 === null ? network : `${network}, ${ipv6Network(parsedIpv6(ipv6.prefix))}`;
  }
}

/**
 * Only what answers from the tunnel's address goes by the tunnel. The table is numbered by the IPv4 address: no other
 * tunnel of the machine has it. A rule that a crash left behind is replaced.
 */
function replyRouting({ address, ipv6 }: ClientConfig): string[] {
  const table = parseIpv4(address);
  assert(table !== null, "a canonical IPv4 address");
  const families = [{ flag: "-4", from: address }, ...(ipv6 === null ? [] : [{ flag: "-6", from: ipv6.address }])];
  return [
    "Table = off",
    ...families.flatMap(({ flag, from }) => {
      const rule = (verb: string): string => `ip ${flag} rule ${verb} from ${from} table ${table}`;
      return [
        `PostUp = ip ${flag} route replace default dev %i table ${table}`,
        `PostUp = ${rule("del")} 2>/dev/null || true; ${rule("add")}`,
        `PostDown = ${rule("del")}`,
      ];
    }),
  ];
}

function parsedSubnet(subnet: string): NonNullable<ReturnType<typeof parseIpv4Prefix>> {
  const prefix = parseIpv4Prefix(subnet);
  assert(prefix !== null, "a subnet in CIDR");
  return prefix;
}

function parsedIpv6(text: string): NonNullable<ReturnType<typeof parseIpv6Prefix>> {
  const prefix = parseIpv6Prefix(text);
  assert(prefix !== null, "an IPv6 prefix in CIDR");
  return prefix;
}
