import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatWgQuick,
  PRIVATE_KEY_PLACEHOLDER,
  type WgQuickConfig,
} from "../../../../src/protocols/wireguard-config/config.ts";
import { renderClientConfig } from "../../../../src/protocols/wireguard-config/client-config.ts";
import { WireguardConfigError } from "../../../../src/protocols/wireguard-config/error.ts";
import { parseWgQuick } from "../../../../src/protocols/wireguard-config/parse.ts";
import { decodeMutations } from "../../protocols/mutation.ts";
import {
  cidrs,
  endpoints,
  ipv4s,
  ipv6s,
  keys,
  NAS,
  OTHER_KEY,
  prefixes,
  PRIVATE_KEY,
  PSK,
  PUBLIC_KEY,
} from "./samples.ts";

/** What an installer writes: names in comments, odd spaces and cases, several lines for one list. */
const SERVER = `
# made by an installer
[Interface]
Address = 10.8.0.1/24,fd42:42:42::1/64
PrivateKey = ${PRIVATE_KEY}
ListenPort=51820   # the usual one
PostUp = iptables -A FORWARD -i wg0 -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
PostDown = iptables -D FORWARD -i wg0 -j ACCEPT
saveconfig = false
DNS = 1.1.1.1, home.arpa

### begin phone ###
[PEER]
publickey = ${PUBLIC_KEY}
PresharedKey = ${PSK}
AllowedIPs = 10.8.0.2/32
AllowedIPs = fd42:42:42::2, 192.168.9.7/24
Endpoint = [2001:DB8::1]:51820
PersistentKeepalive = off
### end phone ###

[Peer]
# laptop
PublicKey = ${OTHER_KEY}
AllowedIPs =
`;

const peer = (lines: string): string => `[Interface]\n[Peer]\nPublicKey = ${PUBLIC_KEY}\n${lines}`;
const faultOf = (text: string): { line: number; message: string } => {
  try {
    parseWgQuick(text);
  } catch (error) {
    if (error instanceof WireguardConfigError) return { line: error.line, message: error.message };
    throw error;
  }
  throw new Error("it was understood");
};

describe("a wg-quick file", () => {
  it("is read as wg and wg-quick read it, with the names that stand in comments", () => {
    expect(parseWgQuick(SERVER)).toEqual({
      interface: {
        comments: ["made by an installer"],
        privateKey: PRIVATE_KEY,
        listenPort: 51820,
        fwMark: null,
        addresses: ["10.8.0.1/24", "fd42:42:42::1/64"],
        dns: ["1.1.1.1", "home.arpa"],
        mtu: null,
        table: null,
        saveConfig: false,
        hooks: [
          {
            event: "PostUp",
            command: "iptables -A FORWARD -i wg0 -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
          },
          { event: "PostDown", command: "iptables -D FORWARD -i wg0 -j ACCEPT" },
        ],
      },
      peers: [
        {
          comments: ["begin phone ###"],
          publicKey: PUBLIC_KEY,
          presharedKey: PSK,
          allowedIps: ["10.8.0.2/32", "fd42:42:42::2/128", "192.168.9.0/24"],
          endpoint: "[2001:db8::1]:51820",
          persistentKeepalive: 0,
        },
        {
          comments: ["end phone ###", "laptop"],
          publicKey: OTHER_KEY,
          presharedKey: null,
          allowedIps: [],
          endpoint: null,
          persistentKeepalive: null,
        },
      ],
    });
  });

  it("may come from Windows, with a byte order mark and carriage returns", () => {
    expect(parseWgQuick(`\uFEFF${SERVER.replaceAll("\n", "\r\n")}`)).toEqual(parseWgQuick(SERVER));
  });

  it("has no private key where a placeholder stands", () => {
    expect(parseWgQuick(`[Interface]\nPrivateKey = ${PRIVATE_KEY_PLACEHOLDER}`).interface.privateKey).toBeNull();
  });

  it.each([
    ["", 0, "there is no [Interface] section"],
    [`[Peer]\nPublicKey = ${PUBLIC_KEY}`, 0, "there is no [Interface] section"],
    ["Address = 10.0.0.1", 1, "a key before the first section"],
    ["[Interface]\n[Interface]", 2, "a second [Interface] section"],
    ["[Interface]\n[Server]", 2, "a section that is neither [Interface] nor [Peer]"],
    ["[Interface]\nhello", 2, "neither a section"],
    ["[Interface]\nListenPrt = 1", 2, "ListenPort was meant?"],
    ["[Interface]\nPublicKey = x", 2, "an unknown key"],
    ["[Interface]\nListenPort = 1\nlistenport = 1", 3, "ListenPort is there twice"],
    ["[Interface]\nListenPort = 65536", 2, "ListenPort must be a port number"],
    ["[Interface]\nAddress = 10.0.0.1/33", 2, "Address must be addresses"],
    ["[Interface]\nAddress = 10.0.0.1/", 2, "Address must be addresses"],
    ["[Interface]\nAddress = 10.0.0.1,,10.0.0.2", 2, "Address must be addresses"],
    ["[Interface]\nPrivateKey = abc", 2, "PrivateKey must be 32 bytes in base64"],
    ["[Interface]\nSaveConfig = yes", 2, "SaveConfig must be true or false"],
    ["[Interface]\nTable = main", 2, "Table must be a table number"],
    ["[Interface]\nPostUp =", 2, "PostUp must be a command"],
    ["[Interface]\nPostUp = a\u0007b", 2, "a control character"],
    ["[Interface]\n[Peer]\nAllowedIPs = 0.0.0.0/0", 2, "this [Peer] has no PublicKey"],
    [peer("Endpoint = 11.22.33.1"), 4, "Endpoint must be host:port"],
    [peer("Endpoint = 11.22.33.256:1"), 4, "Endpoint must be host:port"],
    [peer("Endpoint = [::1:1"), 4, "Endpoint must be host:port"],
    [peer("Endpoint = a:0"), 4, "Endpoint must be host:port"],
    [peer("PersistentKeepalive = 65536"), 4, "PersistentKeepalive must be seconds"],
    [peer(`[Peer]\nPublicKey = ${PUBLIC_KEY}`), 5, "two peers have this PublicKey"],
    [`[Interface]\n${"x".repeat(8193)}`, 2, "longer than 8192 characters"],
    [`[Interface]\nDNS = ${Array(1025).fill("::").join(",")}`, 2, "DNS must be a list of at most 1024"],
    ["#".repeat((4 << 20) + 1), 0, "more than 4194304 characters"],
    [`[Interface]\n${"[Peer]\n".repeat(16_385)}`, 16_386, "more than 16384 peers"],
  ])("%# is refused with its line and the reason", (text, line, message) => {
    const fault = faultOf(text);
    expect(fault.message).toContain(message);
    expect(fault.line).toBe(line);
  });

  it("never repeats what may be a key when it refuses one", () => {
    const nearly = PRIVATE_KEY.slice(0, -1);
    expect(faultOf(`[Interface]\nPrivateKey = ${nearly}`).message).not.toContain(nearly.slice(0, 8));
    expect(faultOf(`[Interface]\n${nearly} = x`).message).not.toContain(nearly.slice(0, 8));
  });

  it("round-trips", () => {
    const comments = fc.array(fc.stringMatching(/^[A-Za-z0-9] ?[a-z0-9]{1,9}$/), { maxLength: 3 });
    const configs: fc.Arbitrary<WgQuickConfig> = fc.record({
      interface: fc.record({
        comments,
        privateKey: fc.option(keys),
        listenPort: fc.option(fc.integer({ min: 0, max: 65535 })),
        fwMark: fc.option(fc.integer({ min: 0, max: 0xffffffff })),
        addresses: fc.uniqueArray(cidrs, { maxLength: 3 }),
        dns: fc.uniqueArray(fc.oneof(ipv4s, ipv6s, fc.domain()), { maxLength: 3 }),
        mtu: fc.option(fc.integer({ min: 0, max: 65535 })),
        table: fc.option(fc.oneof(fc.constantFrom("off", "auto"), fc.integer({ min: 0, max: 0xffffffff }).map(String))),
        saveConfig: fc.boolean(),
        hooks: fc.array(
          fc.record({
            event: fc.constantFrom("PreUp", "PostUp", "PreDown", "PostDown"),
            command: fc.stringMatching(/^[a-z](?:[a-z =;%-]{0,20}[a-z])?$/),
          }),
          { maxLength: 4 },
        ),
      }),
      peers: fc.uniqueArray(
        fc.record({
          comments,
          publicKey: keys,
          presharedKey: fc.option(keys),
          allowedIps: fc.uniqueArray(prefixes, { maxLength: 4 }),
          endpoint: fc.option(endpoints),
          persistentKeepalive: fc.option(fc.integer({ min: 0, max: 65535 })),
        }),
        { maxLength: 5, selector: (each) => each.publicKey },
      ),
    });
    fc.assert(
      fc.property(configs, (config) => {
        expect(parseWgQuick(formatWgQuick(config))).toEqual(config);
      }),
    );
  });

  it("lets only its own error out, whatever the text", () => {
    decodeMutations({
      seed: 51820,
      runs: 40_000,
      seeds: [SERVER, renderClientConfig(NAS), "[Interface]\nMTU=9\n"].map((text) => Buffer.from(text)),
      decode: (bytes) => parseWgQuick(Buffer.from(bytes).toString()),
      own: WireguardConfigError,
    });
  });
});
