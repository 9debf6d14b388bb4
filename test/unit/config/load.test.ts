import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig, parseConfig } from "../../../src/config/load.ts";
import { configJsonSchema, configSchema, parseListen } from "../../../src/config/schema.ts";
import { settingsFrom } from "../../../src/config/settings.ts";
import { settings } from "../../../src/events/settings.ts";

type Env = Record<string, string>;
const parse = (text: string, env: Env = {}) => parseConfig(text, "portreeve.yaml", env);

function errorsOf(text: string, env: Env = {}): string[] {
  try {
    parse(text, env);
  } catch (cause) {
    if (cause instanceof ConfigError) return cause.message.split("\n");
    throw cause;
  }
  return [];
}

describe("the configuration file", () => {
  it("needs no key at all, and its defaults are those of the contract", () => {
    const { config, notes } = parse("");
    expect(notes).toEqual([]);
    expect(config).toMatchObject({
      dataDir: "/var/lib/portreeve",
      masterKeyFile: "/etc/portreeve/master.key",
      runtimeDir: "/run/portreeve",
      log: { level: "info", retain: { events: 1_000_000, days: 365 } },
      roles: ["gateway"],
      api: { listen: "127.0.0.1:8351" },
      wan: { interfaces: [], externalAddress: "auto" },
      lan: [],
      wireguard: { interface: "wg-portreeve", listenPort: 51820, endpoint: "auto", nonce: "same-host" },
      dns: {
        listenPort: 53,
        upstreams: "system",
        rebinding: { allow: [] },
        privateZones: ["home.arpa", "internal", "lan"],
      },
      host: {},
      portControl: {
        pcp: true,
        natpmp: true,
        upnp: true,
        lifetime: { pcpMin: 120, max: 86400 },
        quarantine: 120,
        protectedPorts: [22],
        perDevice: { mappings: 256, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 512 },
      },
    });
  });

  it("fills in what a served segment leaves out", () => {
    const [lan] = parse("lan:\n  - interface: lan0\n").config.lan;
    expect(lan).toEqual({
      interface: "lan0",
      devices: "any",
      nonce: "strict",
      dns: false,
      dnsUpdates: "signed",
      zone: null,
    });
  });

  it("names the line of an unknown key and the key that was meant", () => {
    expect(errorsOf("lan:\n  - interface: lan0\n    nonse: strict\n")).toEqual([
      "portreeve.yaml:3: `lan[0].nonse` is not a known key. Did you mean `nonce`?",
    ]);
    expect(errorsOf("portControll: {}")).toEqual([
      "portreeve.yaml:1: `portControll` is not a known key. Did you mean `portControl`?",
    ]);
  });

  it("lists the keys it knows where nothing is near", () => {
    expect(errorsOf("log:\n  colour: red\n")).toEqual([
      "portreeve.yaml:2: `log.colour` is not a known key; known here: level, retain",
    ]);
  });

  it("[W3] takes no endpoint that clients could not dial", () => {
    const withEndpoint = (text: string) => `wireguard: { endpoint: ${JSON.stringify(text)} }`;
    expect(errorsOf(withEndpoint("https://gw.example.org"))).toEqual([
      "portreeve.yaml:1: `wireguard.endpoint` must be auto or HOST[:PORT], as in gw.example.org:51820",
    ]);
    for (const good of ["auto", "gw.example.org", "198.51.100.7:443", "[2001:db8::1]:51820"])
      expect(parse(withEndpoint(good)).config.wireguard?.endpoint).toBe(good);
  });

  it("takes no zone of a LAN that strangers have names in, unless it is said to be private", () => {
    const lan = "lan:\n  - interface: lan0\n    zone: Co.UK.\n";
    expect(errorsOf(lan)).toEqual([
      "portreeve.yaml:3: `lan[0].zone` is co.uk, where others register names, which would not be found any more; name one of your own below it, or list it under dns.privateZones",
    ]);
    expect(parse(`${lan}dns: { privateZones: [co.uk] }`).config.lan[0]?.zone).toBe("Co.UK.");
    expect(parse("lan: [{ interface: lan0, zone: lan }]").config.lan[0]?.zone).toBe("lan");
  });

  it("suggests the value that was meant", () => {
    expect(errorsOf("log: { level: inof }")[0]).toMatch(/^portreeve\.yaml:1: `log\.level` must be one of .*`info`\?$/);
  });

  it("says everything that is wrong, from top to bottom", () => {
    const text = "dataDir: var\nportControl:\n  lifetime: { pcpMin: 0 }\n  quarantine: soon\nfoo: 1\n";
    expect(errorsOf(text).map((line) => line.split(" ")[0])).toEqual([
      "portreeve.yaml:1:",
      "portreeve.yaml:3:",
      "portreeve.yaml:4:",
      "portreeve.yaml:5:",
    ]);
  });

  it.each([["roles: [gateway, host]", "roles[1]"]])("refuses %j as not built yet", (text, key) => {
    expect(errorsOf(text)).toEqual([expect.stringContaining(`\`${key}\` is not built yet: `)]);
  });

  it("takes upstreams of every kind, and says of each that is none what it has to be", () => {
    const list = ["system", "9.9.9.9:5353", "tls://1.1.1.1#one.one.one.one", "[/corp.example/]10.0.0.1"];
    expect(parse(`dns: { upstreams: ${JSON.stringify(list)} }`).config.dns.upstreams).toEqual(list);
    expect(errorsOf("dns:\n  upstreams:\n    - 9.9.9.9\n    - tls://dns.quad9.net\n")).toEqual([
      expect.stringMatching(/^portreeve\.yaml:4: `dns\.upstreams\[1\]` .*tls:\/\/ADDRESS#dns\.quad9\.net/),
    ]);
    expect(errorsOf("dns: { upstreams: 9.9.9.9 }")).toEqual([expect.stringContaining("must be system or a list")]);
    expect(errorsOf("dns: { upstreams: ['[/corp.example/]10.0.0.1'] }")).toEqual([
      expect.stringContaining("add one without"),
    ]);
    expect(errorsOf("dns: { rebinding: { allow: ['a..b'] } }")).toHaveLength(1);
  });

  it("[P13] takes `known`: only registered devices of that network may ask", () => {
    expect(parse("lan: [{ interface: lan0, devices: known }]").config.lan[0]?.devices).toBe("known");
  });

  it("accepts what the contract has as default although it is not served yet, and notes nothing of it", () => {
    expect(parse("portControl: { upnp: true }").notes).toEqual([]);
    expect(parse("wireguard: null").notes).toEqual([]);
    expect(parse("wireguard: {}\ndns: {}").notes).toEqual([]);
    expect(parse("log: { retain: { days: 7 } }").notes).toEqual([]);
    expect(parse("", { PORTREEVE_DNS__LISTEN_PORT: "5353" }).notes).toEqual([]);
  });

  it("listens on loopback only, unless TLS is on", () => {
    expect(errorsOf("api: { listen: 0.0.0.0:8351 }")[0]).toContain("must be a loopback address");
    expect(errorsOf("api: { listen: 192.0.2.1:8351, tls: off }")[0]).toContain("`api.tls` is on");
    expect(parse("api: { listen: 0.0.0.0:8351, tls: own-ca }").config.api).toMatchObject({ tls: "own-ca", hosts: [] });
    const files = "{ certificate: /etc/tls/gw.pem, key: /etc/tls/gw.key }";
    expect(parse(`api: { listen: "[::]:443", tls: ${files} }`).config.api.tls).toEqual({
      certificate: "/etc/tls/gw.pem",
      key: "/etc/tls/gw.key",
    });
    expect(errorsOf("api: { tls: on }")).not.toEqual([]);
    expect(errorsOf("api: { tls: { certificate: /a } }")).not.toEqual([]);
    expect(
      parse("api: { hosts: [gw.example.org, gw.example.org:443, 203.0.113.5, '2001:db8::1'] }").config.api.hosts,
    ).toHaveLength(4);
    expect(errorsOf("api: { hosts: ['https://gw.example.org/'] }")[0]).toContain("must be a name or an address");
    expect(errorsOf("api: { listen: 127.0.0.1 }")[0]).toContain("must be ADDRESS:PORT");
    for (const listen of ["127.0.0.1:1", "[::1]:8351", "localhost:0", "null"]) {
      expect(errorsOf(`api: { listen: "${listen}" }`.replace('"null"', "null"))).toEqual([]);
    }
    expect(parseListen("[::1]:8351")).toEqual({ host: "::1", port: 8351 });
    expect(parseListen("127.0.0.1:70000")).toBeNull();
  });

  it("refuses an interface that is served twice and names that would leave a ruleset's string", () => {
    expect(errorsOf("lan: [{ interface: lan0 }, { interface: lan0 }]")[0]).toContain("names an interface twice");
    expect(errorsOf("lan: [{ interface: 'a\"b' }]")[0]).toContain("lan[0].interface");
  });

  it("names the line of broken YAML and of a file that holds no keys", () => {
    expect(errorsOf("log:\n  level: [\n")[0]).toMatch(/^portreeve\.yaml:[23]: /);
    expect(errorsOf("- 1")[0]).toContain("must hold keys and values");
    expect(() => loadConfig("/nonexistent/portreeve.yaml", {})).toThrow(/there is no such file/);
  });

  it("refuses what YAML lets pass and nobody meant: a dangling alias, an unknown tag, a lone number", () => {
    expect(errorsOf("log: { level: *debug }")[0]).toMatch(
      /^portreeve\.yaml: has an alias that cannot be resolved: .*debug/,
    );
    expect(errorsOf("lan: []\ndns: !!nothing {}")[0]).toMatch(/^portreeve\.yaml:2: /);
    for (const env of [{}, { PORTREEVE_WAN__INTERFACES: "wan0" }] as Env[]) {
      expect(errorsOf("5", env)).toEqual([
        "portreeve.yaml:1: must hold keys and values, as in `lan: [{ interface: lan0 }]`",
      ]);
    }
  });
});

describe("environment overrides", () => {
  it("go down a level by two underscores and split camelCase by one", () => {
    const env = { PORTREEVE_PORT_CONTROL__LIFETIME__PCP_MIN: "60", PORTREEVE_DATA_DIR: "/tmp/d" };
    const { config, overrides } = parse("portControl: { quarantine: 7 }", env);
    expect(config.portControl).toMatchObject({ lifetime: { pcpMin: 60, max: 86400 }, quarantine: 7 });
    expect(config.dataDir).toBe("/tmp/d");
    expect(overrides.map((each) => each.path.join("."))).toEqual(["dataDir", "portControl.lifetime.pcpMin"]);
  });

  it("win over the file, hold YAML, and take commas for a list", () => {
    const env = { PORTREEVE_API__LISTEN: "null", PORTREEVE_WAN__INTERFACES: "eth0,eth1" };
    const { config } = parse("api: { listen: 127.0.0.1:1 }\nwan: { interfaces: [ppp0] }", env);
    expect(config.api.listen).toBeNull();
    expect(config.wan.interfaces).toEqual(["eth0", "eth1"]);
    expect(parse("", { PORTREEVE_LAN: "[{ interface: lan0 }]" }).config.lan[0]?.interface).toBe("lan0");
    expect(parse("", { PORTREEVE_PORT_CONTROL__PROTECTED_PORTS: "22" }).config.portControl.protectedPorts).toEqual([
      22,
    ]);
  });

  it("with a list of which one item is no YAML say so", () => {
    const [error] = errorsOf("", { PORTREEVE_WAN__INTERFACES: 'wan0, "wan1' });
    expect(error).toBe("PORTREEVE_WAN__INTERFACES: does not hold a YAML value");
  });

  it("that name no key are errors with a suggestion", () => {
    expect(errorsOf("", { PORTREEVE_PORT_CONTROL__LIFTIME__MAX: "3" })).toEqual([
      "PORTREEVE_PORT_CONTROL__LIFTIME__MAX: names no key of the configuration. Did you mean `PORTREEVE_PORT_CONTROL__LIFETIME__MAX`?",
    ]);
    expect(errorsOf("", { PORTREEVE_DATADIR: "/x" })[0]).toContain("`PORTREEVE_DATA_DIR`");
  });

  it("with a bad value name the variable, not a line", () => {
    expect(errorsOf("", { PORTREEVE_PORT_CONTROL__QUARANTINE: "soon" })).toEqual([
      "PORTREEVE_PORT_CONTROL__QUARANTINE: `portControl.quarantine` must be of type number",
    ]);
  });

  it("leave alone what belongs to others", () => {
    const env = { PORTREEVE_SOCKET: "/s", PORTREEVE_REQUIRE_LAB: "1", PORTREEVE_SEED: "7", PATH: "/bin" };
    expect(errorsOf("", env)).toEqual([]);
  });
});

describe("what is derived from the configuration", () => {
  it("gives settings that the log accepts", () => {
    const { config } = parse("lan: [{ interface: lan0, nonce: same-host }]");
    const derived = settingsFrom(config, ["wan0"]);
    expect(settings.parse(derived)).toEqual(derived);
    expect(derived.wan.interfaces).toEqual(["wan0"]);
    expect(derived.lan).toEqual([
      { interface: "lan0", nonce: "same-host", devices: "any", dns: false, dnsUpdates: "signed", zone: null },
    ]);
  });

  it("gives a JSON schema that names every key of the contract and forbids others", () => {
    const schema = configJsonSchema() as { properties: object; additionalProperties: unknown };
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(configSchema.shape).sort());
    expect(schema.additionalProperties).toBe(false);
  });
});
