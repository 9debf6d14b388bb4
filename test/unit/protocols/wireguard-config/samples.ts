import fc from "fast-check";
import { formatIpv4, parseIpv4Prefix } from "../../../../src/lib/ip.ts";
import { formatIpv6 } from "../../../../src/lib/ipv6.ts";
import type { ClientConfig } from "../../../../src/protocols/wireguard-config/client-config.ts";
import { parseAllowedIp } from "../../../../src/protocols/wireguard-config/fields.ts";

export const PRIVATE_KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
export const PUBLIC_KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
export const OTHER_KEY = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
export const PSK = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

export const NAS: ClientConfig = {
  profile: "starttunnel",
  deviceName: "nas",
  address: "10.59.7.2",
  subnet: "10.59.7.1/24",
  ipv6: null,
  privateKey: PRIVATE_KEY,
  presharedKey: PSK,
  serverPublicKey: PUBLIC_KEY,
  endpoint: "11.22.33.1:51820",
  dns: "10.59.7.1",
};

export const keys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("base64"));
export const ipv4s = fc.integer({ min: 1 << 24, max: 0xdfffffff }).map((value) => formatIpv4(value));
export const ipv6s = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => formatIpv6(groups));
export const cidrs = fc.oneof(
  fc.tuple(ipv4s, fc.integer({ min: 0, max: 32 })).map(([address, length]) => `${address}/${length}`),
  fc.tuple(ipv6s, fc.integer({ min: 0, max: 128 })).map(([address, length]) => `${address}/${length}`),
);
export const prefixes = cidrs.map((cidr) => parseAllowedIp(cidr) as string);
export const endpoints = fc
  .tuple(
    fc.oneof(
      ipv4s,
      ipv6s.map((each) => `[${each}]`),
      fc.domain(),
    ),
    fc.integer({ min: 1, max: 65535 }),
  )
  .map(([host, port]) => `${host}:${port}`);

export const clientConfigs: fc.Arbitrary<ClientConfig> = fc.record({
  profile: fc.constantFrom("starttunnel", "inbound", "full", "split"),
  deviceName: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/),
  address: ipv4s,
  subnet: fc.tuple(ipv4s, fc.integer({ min: 8, max: 30 })).map(([address, length]) => `${address}/${length}`),
  ipv6: fc.option(
    fc.record({
      address: ipv6s,
      prefix: fc.tuple(ipv6s, fc.integer({ min: 8, max: 96 })).map((each) => each.join("/")),
    }),
  ),
  privateKey: fc.option(keys),
  presharedKey: keys,
  serverPublicKey: keys,
  endpoint: endpoints,
  dns: fc.option(ipv4s),
});

export const lengthOf = (cidr: string): number => (parseIpv4Prefix(cidr) ?? { length: -1 }).length;
