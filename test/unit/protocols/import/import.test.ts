import { describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, publicKeyOf, textOf } from "../../../../src/adapters/wireguard/keys.ts";
import { declaration } from "../../../../src/events/declaration.ts";
import { Secret } from "../../../../src/events/secret.ts";
import { hostLabel } from "../../../../src/protocols/import/collection.ts";
import { ImportError } from "../../../../src/protocols/import/error.ts";
import { parseMiniupnpd } from "../../../../src/protocols/import/miniupnpd.ts";
import type { Imported } from "../../../../src/protocols/import/model.ts";
import { parseStartTunnel } from "../../../../src/protocols/import/starttunnel.ts";
import { parseWgEasy } from "../../../../src/protocols/import/wg-easy.ts";
import { parseWgQuickFolder } from "../../../../src/protocols/import/wg-quick.ts";

const publicOf = (privateKey: string): string => publicKeyOf(new Secret(privateKey));
const privateKey = (): string => textOf(generateKeyPair().privateKey);
const psk = (): string => textOf(generatePresharedKey());
const [SERVER, NAS, PHONE, NAS_PSK, PHONE_PSK] = [privateKey(), privateKey(), privateKey(), psk(), psk()];

/** What was read passes the schema of a declaration, so that only the gateway itself can still object. */
function checked(imported: Imported): Imported {
  declaration.parse(imported.declaration);
  const text = JSON.stringify([imported.declaration, imported.notes]);
  for (const key of [SERVER, NAS, PHONE, NAS_PSK, PHONE_PSK]) expect(text).not.toContain(key);
  return imported;
}

const STARTTUNNEL = {
  wg: {
    port: 51820,
    key: SERVER,
    subnets: {
      "10.59.7.1/24": {
        name: "Default Subnet",
        dns: { mode: "device", device: "10.59.7.2" },
        clients: {
          "10.59.7.2": {
            name: "My Server",
            key: NAS,
            psk: NAS_PSK,
            kind: "server",
            allowDnsInjection: true,
            allowAutoPortForward: true,
          },
          "10.59.7.3": { name: "Zoë's Phone", key: PHONE, psk: PHONE_PSK, kind: "client" },
        },
      },
    },
  },
  portForwards: {
    "11.22.33.1:8443": { kind: "dnat", target: "10.59.7.2:443", label: "web", enabled: true, count: 1, auto: false },
    "11.22.33.1:6881": { kind: "dnat", target: "10.59.7.2:6881", enabled: false, count: 3, auto: false },
    "11.22.33.1:9000": { kind: "dnat", target: "10.59.7.2:9000", enabled: true, count: 1, auto: true },
    "11.22.33.1:443": { kind: "sni", routes: { "a.example": { target: "10.59.7.2:443" } } },
  },
  dnsRecords: [{ name: "a" }],
  sessions: {},
  laterThing: true,
};

describe("a StartTunnel dump", () => {
  it("becomes subnets, devices with their keys, and forwards of both transports", () => {
    const {
      declaration: made,
      keys,
      gatewayKey,
      notes,
    } = checked(parseStartTunnel(JSON.stringify(STARTTUNNEL), publicOf));
    expect(made.subnets).toEqual([
      { name: "Default Subnet", prefix: "10.59.7.1/24", wan: null, dns: { mode: "device", device: "my-server" } },
    ]);
    expect(made.devices).toEqual([
      expect.objectContaining({
        name: "my-server",
        kind: "server",
        ports: "auto",
        dns: "auto",
        publicKey: publicOf(NAS),
      }),
      expect.objectContaining({ name: "zoe-s-phone", kind: "client", ports: "off", profile: "starttunnel" }),
    ]);
    expect(keys.get("my-server")).toEqual({ privateKey: NAS, presharedKey: NAS_PSK });
    expect(gatewayKey).toBe(SERVER);
    expect(made.ports.map(({ name, port, to, enabled }) => `${name} ${port} ${to} ${enabled}`)).toEqual([
      "web tcp 8443/tcp 10.59.7.2:443 true",
      "web udp 8443/udp 10.59.7.2:443 true",
      "6881-6883/tcp 6881-6883/tcp 10.59.7.2:6881 false",
      "6881-6883/udp 6881-6883/udp 10.59.7.2:6881 false",
    ]);
    expect(notes.join("\n")).toMatch(
      /My Server is called my-server here[^]*9000 was asked for by a device[^]*SNI[^]*DNS records/,
    );
  });

  it("needs no member that an older or younger version has not", () => {
    const { declaration: made } = checked(parseStartTunnel(JSON.stringify({ wg: { key: SERVER } }), publicOf));
    expect([made.subnets, made.devices, made.ports]).toEqual([[], [], []]);
    const portForwards = { "11.22.33.1:80": { target: "10.59.7.2:8080" } };
    const old = parseStartTunnel(JSON.stringify({ wg: STARTTUNNEL.wg, portForwards }), publicOf);
    expect(old.declaration.ports.map(({ port }) => port)).toEqual(["80/tcp", "80/udp"]);
  });

  it("is read with its revision around it as well, and another port is said", () => {
    const wg = { ...STARTTUNNEL.wg, port: 51900 };
    const imported = parseStartTunnel(JSON.stringify({ id: 7, value: { ...STARTTUNNEL, wg } }), publicOf);
    expect(imported.declaration.devices).toHaveLength(2);
    expect(imported.notes).toContainEqual(expect.stringContaining("UDP port 51900: set wireguard.listenPort"));
  });

  it.each([
    ["{", "this is no JSON"],
    ["[]", "the document"],
    [JSON.stringify({ wg: { ...STARTTUNNEL.wg, key: `${SERVER}x` } }), "wg.key: must be 32 bytes in base64"],
    [
      JSON.stringify({ ...STARTTUNNEL, portForwards: { "x:1": { target: "10.59.7.2:443" } } }),
      "portForwards: an address",
    ],
  ])("refuses what is none, and repeats nothing of it", (text, message) => {
    const read = () => parseStartTunnel(text, publicOf);
    expect(read).toThrow(ImportError);
    expect(read).toThrow(message);
    expect(() => read()).not.toThrow(SERVER);
  });
});

describe("a wg-quick folder", () => {
  const server = `[Interface]
Address = 10.8.0.1/24, fd00::1/64
ListenPort = 51821
PrivateKey = ${SERVER}
PostUp = iptables -A FORWARD -i %i -j ACCEPT

# BEGIN_PEER phone
[Peer]
PublicKey = ${publicOf(PHONE)}
PresharedKey = ${PHONE_PSK}
AllowedIPs = 10.8.0.2/32, fd00::2/128
# END_PEER phone

[Peer]
PublicKey = ${publicOf(NAS)}
AllowedIPs = 10.8.0.3/32

[Peer]
PublicKey = ${publicOf(privateKey())}
AllowedIPs = 192.168.1.0/24
`;
  const nas = `[Interface]\nPrivateKey = ${NAS}\nAddress = 10.8.0.3/24\n[Peer]\nPublicKey = ${publicOf(SERVER)}\nEndpoint = a.example:51821\nAllowedIPs = 0.0.0.0/0\n`;

  it("takes names and private keys from the clients' own files", () => {
    const files = [
      { name: "nas.conf", text: nas },
      { name: "wg0.conf", text: server },
    ];
    const { declaration: made, keys, gatewayKey, notes } = checked(parseWgQuickFolder(files, publicOf));
    expect(made.name).toBe("wg-quick wg0");
    expect(made.subnets.map(({ name, prefix }) => `${name} ${prefix}`)).toEqual(["wg0 10.8.0.0/24"]);
    expect(made.devices.map(({ name, address }) => `${name} ${address}`)).toEqual(["phone 10.8.0.2", "nas 10.8.0.3"]);
    expect(keys.get("phone")).toEqual({ privateKey: null, presharedKey: PHONE_PSK });
    expect(keys.get("nas")).toEqual({ privateKey: NAS, presharedKey: null });
    expect(gatewayKey).toBe(SERVER);
    for (const said of [
      "UDP port 51821",
      "IPv6 addresses",
      "PostUp",
      "nas had no preshared key",
      "has no address of its own",
    ]) {
      expect(notes.join("\n")).toContain(said);
    }
  });

  it.each([
    [[{ name: "nas.conf", text: nas }], "none of the files has a ListenPort"],
    [
      [
        { name: "a.conf", text: server },
        { name: "b.conf", text: server },
      ],
      "a and b both listen",
    ],
    [[{ name: "a.conf", text: `${server}\nNonsense = ${SERVER}` }], /^a.conf: line \d+: an unknown key/],
  ])("refuses what it cannot tell", (files, message) => {
    expect(() => parseWgQuickFolder(files, publicOf)).toThrow(message);
    expect(() => parseWgQuickFolder(files, publicOf)).toThrow(ImportError);
  });
});

describe("wg-easy's wg0.json", () => {
  const file = {
    server: { privateKey: SERVER, publicKey: publicOf(SERVER), address: "10.8.0.1" },
    clients: {
      a: {
        id: "a",
        name: "Phone",
        address: "10.8.0.2",
        privateKey: PHONE,
        publicKey: publicOf(PHONE),
        preSharedKey: PHONE_PSK,
        enabled: true,
        expiredAt: "2027-01-01",
      },
      b: {
        id: "b",
        name: "phone",
        address: "10.8.0.3",
        privateKey: NAS,
        publicKey: publicOf(PHONE),
        preSharedKey: NAS_PSK,
        enabled: true,
      },
      c: { id: "c", name: "old", address: "10.8.0.4", publicKey: publicOf(NAS), enabled: false },
    },
  };

  it("keeps the keys that fit, and each name once", () => {
    const { declaration: made, keys, notes } = checked(parseWgEasy(JSON.stringify(file), publicOf));
    expect(made.devices.map(({ name, address, profile }) => `${name} ${address} ${profile}`)).toEqual([
      "phone 10.8.0.2 full",
      "phone-2 10.8.0.3 full",
    ]);
    expect(keys.get("phone")?.privateKey).toBe(PHONE);
    expect(keys.get("phone-2")?.privateKey).toBeNull();
    expect(notes.join("\n")).toMatch(/had an end[^]*not of its public key[^]*old is disabled/);
  });

  it("refuses an address or a key that is none", () => {
    for (const server of [
      { ...file.server, address: "10.8.0.256" },
      { ...file.server, privateKey: "x" },
    ]) {
      expect(() => parseWgEasy(JSON.stringify({ ...file, server }), publicOf)).toThrow(ImportError);
    }
  });
});

describe("miniupnpd's leases", () => {
  it("become forwards by their description", () => {
    const text =
      "TCP:8443:192.168.77.2:443:0:web\r\nUDP:3074:192.168.77.3:3074:1700000000:console:1\nUDP:3075:192.168.77.3:3075:0:\n";
    const { declaration: made, notes } = checked(parseMiniupnpd(text));
    expect(made.ports.map(({ name, port, to }) => `${name} ${port} ${to}`)).toEqual([
      "web 8443/tcp 192.168.77.2:443",
      "console:1 3074/udp 192.168.77.3:3074",
      "3075/udp 3075/udp 192.168.77.3:3075",
    ]);
    expect(notes).toEqual([expect.stringContaining("1 of its leases had an end")]);
  });

  it.each([
    "TCP:0:192.168.77.2:443:0:",
    "ICMP:1:192.168.77.2:443:0:",
    "TCP:1:192.168.77.256:443:0:",
    "TCP:1:192.168.77.2:70000:0:",
    "nonsense",
  ])("refuses %j by its line", (line) => {
    expect(() => parseMiniupnpd(`TCP:8443:192.168.77.2:443:0:web\n${line}\n`)).toThrow(/^line 2: must be like/);
  });
});

describe("names", () => {
  it.each([
    ["My Phone", "my-phone"],
    ["  --é--Ω--  ", "e"],
    ["日本", ""],
    ["x".repeat(80), "x".repeat(63)],
    [`${"x".repeat(62)} y`, "x".repeat(62)],
  ])("of a device are DNS labels: %j", (text, label) => {
    expect(hostLabel(text)).toBe(label);
  });

  it("numbers ten thousand of one name, and looks at each but once", () => {
    const lines = Array.from({ length: 10_000 }, (_, at) => `TCP:${1024 + at}:10.0.0.2:${1024 + at}:0:Same`);
    const { ports } = parseMiniupnpd(`${lines.join("\n")}\n`).declaration;
    expect([ports.length, ports[0]?.name, ports.at(-1)?.name]).toEqual([10_000, "Same", "Same-10000"]);
  });

  it("takes no sign that turns the direction of writing into a name", () => {
    const { ports } = parseMiniupnpd("TCP:8443:10.0.0.2:443:0:safe\u202Egnp.exe\n").declaration;
    expect(ports[0]?.name).toBe("safegnp.exe");
  });
});
