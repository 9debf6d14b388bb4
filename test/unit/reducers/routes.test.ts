import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import type { Decision, MapRequest } from "../../../src/reducers/decide/command.ts";
import { tableRows } from "../../../src/lib/table.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { redirectRivals } from "../../../src/reducers/select/proxy-need.ts";
import { proxiedOf } from "../../../src/reducers/select/proxied.ts";
import { selectGuard } from "../../../src/reducers/select/guard-rows.ts";
import { selectSni } from "../../../src/reducers/select/sni-rows.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NONCE,
  OTHER_DEVICE,
  OTHER_NONCE,
  portAdd,
  refusalOf,
  upnpMap,
  WAN_ADDRESS,
} from "./given.ts";

const INSTANCE = "0123456789abcdef";
const forwards = selectForwards(INSTANCE);
const sni = selectSni(INSTANCE);

const named = (gateway: Gateway, names: readonly string[], fields: Partial<MapRequest> = {}): Decision =>
  gateway.map({ internalPort: 443, suggestedPort: 443, names, ...fields });

const route = (gateway: Gateway, name: string, fields: Parameters<typeof portAdd>[0] = {}): Decision =>
  gateway.do(portAdd({ externalPort: 443, name, ...fields }), "api:test");

/** Names and what is left of a port, with where they lead. */
function led(gateway: Gateway): Record<string, string> {
  const rows = [...sni(gateway.state).rows()].flatMap(({ spec }) => {
    if (spec.kind === "route") return [[`${spec.port} ${spec.name}`, `${spec.toAddress}:${spec.toPort}`]];
    if (spec.kind === "fallback") return [[`${spec.port}`, `${spec.toAddress}:${spec.toPort}`]];
    return spec.kind === "redirect" ? [["redirect", spec.address]] : [];
  });
  return Object.fromEntries(rows);
}

const forwardOf = (gateway: Gateway, port: number) =>
  forwards(gateway.state).get(`forward|${WAN_ADDRESS}|tcp|${port}`)?.spec;

describe("names by PCP", () => {
  it("are mappings of their own on one port, which HAProxy takes; a whole one beside them has the rest", () => {
    const gateway = new Gateway();
    expect(mapped(named(gateway, ["A.example.org", "b.example.org", "a.example.org"]))).toMatchObject({
      externalPort: 443,
      lifetime: 3600,
      more: [{ claimKey: `pcp:${NONCE}` }],
    });
    expect(led(gateway)).toEqual({
      "443 a.example.org": `${DEVICE}:443`,
      "443 b.example.org": `${DEVICE}:443`,
      redirect: WAN_ADDRESS,
    });
    expect(forwardOf(gateway, 443)).toMatchObject({ toAddress: WAN_ADDRESS, toPort: 60_443 });
    expect(forwardOf(gateway, 80)).toMatchObject({ toAddress: WAN_ADDRESS, toPort: 60_080 });
    gateway.map({ device: OTHER_DEVICE, internalPort: 443, suggestedPort: 443 });
    expect(led(gateway)).toMatchObject({ "443": `${OTHER_DEVICE}:443` });
    expect(forwards(gateway.state).get("skeleton")?.spec).toMatchObject({ proxied: true });
  });

  it("are renewed without an event, joined by another nonce of the same host, and given back one by one", () => {
    const gateway = new Gateway({}, "same-host");
    const names = ["a.example.org", "b.example.org", "c.example.org"];
    named(gateway, names);
    gateway.later(100);
    const renewed = named(gateway, names);
    expect(eventsOf(renewed)).toEqual([]);
    expect(renewed.ok && renewed.renewals).toHaveLength(3);
    expect(eventsOf(named(gateway, ["a.example.org"], { nonce: OTHER_NONCE }))).toEqual(["lease.granted"]);
    for (const [index, name] of names.entries()) {
      expect(eventsOf(gateway.unmap({ internalPort: 443, names: [name] }))).toEqual(["lease.released"]);
      // The first has another claim, and where a name is, HTTP is sent to it.
      expect(Object.keys(led(gateway)).length, name).toBe([4, 3, 2][index]);
    }
    gateway.unmap({ internalPort: 443, names: ["a.example.org"], nonce: OTHER_NONCE });
    expect(led(gateway)).toEqual({});
    expect([...sni(gateway.state).rows()]).toEqual([]);
  });

  it("another nonce of a strict network is refused, until the lease ends", () => {
    const gateway = new Gateway();
    named(gateway, ["a.example.org"]);
    gateway.later(600);
    expect(refusalOf(named(gateway, ["a.example.org"], { nonce: OTHER_NONCE }))).toEqual({
      code: "NONCE_MISMATCH",
      retryAfter: 3000,
    });
  });

  it("are given all or none; one is one host's, and so are those that its wildcard stands for", () => {
    const gateway = new Gateway();
    named(gateway, ["*.example.org", "shop.example.net"]);
    const before = gateway.state.seq;
    for (const name of ["shop.example.net", "a.example.org", "*.example.org"]) {
      const asked = named(gateway, ["free.example.com", name], { device: OTHER_DEVICE, nonce: OTHER_NONCE });
      expect(refusalOf(asked).code, name).toBe("HOSTNAME_TAKEN");
    }
    expect(gateway.state.seq).toBe(before);
    for (const name of ["x.a.example.org", "example.org", "free.example.com"]) {
      expect(named(gateway, [name], { device: OTHER_DEVICE, nonce: OTHER_NONCE }).ok, name).toBe(true);
    }
  });

  it("go with no UDP port, no address, no bad label, no filter, and not without HAProxy", () => {
    const gateway = new Gateway();
    const bad = [
      "-a.org",
      "a-.org",
      "a..org",
      ".org",
      "a.org.",
      "a_b.org",
      "*",
      "a.*.org",
      "10.0.0.1",
      `${"a".repeat(64)}.org`,
    ];
    for (const name of bad) expect(refusalOf(named(gateway, [name])).code, name).toBe("HOSTNAME_UNSUPPORTED");
    expect(refusalOf(named(gateway, ["a.org"], { protocol: 17 })).code).toBe("HOSTNAME_UNSUPPORTED");
    expect(refusalOf(named(gateway, ["a.org"], { protocol: 0 })).code).toBe("HOSTNAME_UNSUPPORTED");
    const filters = [{ prefix: "198.51.100.7/32", port: null }];
    expect(refusalOf(named(gateway, ["a.org"], { filters })).code).toBe("HOSTNAME_UNSUPPORTED");
    const without = { ...portAdd({ name: "a.org" }), sharesPorts: false };
    expect(refusalOf(gateway.decide(without)).code).toBe("SNI_UNAVAILABLE");
    expect([...tableRows(gateway.state.mappings)]).toEqual([]);
  });

  it("are not switched on while there is no HAProxy, and else edited and ended as ever", () => {
    const gateway = new Gateway();
    route(gateway, "a.example.org");
    gateway.do(portAdd({ externalPort: 80 }), "api:test");
    const [named_ = "", plain = ""] = [...tableRows(gateway.state.mappings)]
      .toSorted((a, b) => Number(a.name === null) - Number(b.name === null))
      .map(({ id }) => id);
    const without = { sharesPorts: false };
    const edit = (id: string, changes: object) => gateway.decide({ type: "port.edit", id, ...changes, ...without });
    expect(eventsOf(edit(named_, { label: "web" }))).toHaveLength(1);
    expect(eventsOf(edit(named_, { enabled: true })), "it is on").toEqual([]);
    for (const id of [named_, plain]) gateway.do({ type: "port.edit", id, enabled: false }, "api:test");
    expect(refusalOf(edit(named_, { enabled: true }))).toMatchObject({ code: "SNI_UNAVAILABLE" });
    expect(refusalOf(edit(named_, { enabled: true, label: "web" }))).toMatchObject({ code: "SNI_UNAVAILABLE" });
    expect(eventsOf(edit(named_, { label: "web" }))).toHaveLength(1);
    expect(eventsOf(edit(plain, { enabled: true })), "a plain forward needs none").toHaveLength(1);
    expect(eventsOf(gateway.decide({ type: "port.remove", id: named_, ...without }))).toHaveLength(1);
    expect(gateway.do({ type: "port.edit", id: named_, enabled: true }, "api:test").ok).toBe(true);
  });

  it("pay the quota for each", () => {
    const gateway = new Gateway();
    const { mappings } = gateway.state.settings.portControl.perDevice;
    const names = Array.from({ length: mappings + 1 }, (_, index) => `n${index}.example.org`);
    expect(refusalOf(named(gateway, names)).code).toMatch(/QUOTA_EXCEEDED$/);
    expect([...tableRows(gateway.state.mappings)]).toEqual([]);
  });
});

type Party = (gateway: Gateway) => Decision;
const PARTIES: Record<string, Party> = {
  "PCP whole": (gateway) => gateway.map({ internalPort: 443, suggestedPort: 443, preferFailure: true }),
  "PCP name": (gateway) => named(gateway, ["a.example.org"], { device: OTHER_DEVICE, nonce: OTHER_NONCE }),
  "PCP same name": (gateway) => named(gateway, ["a.example.org"], { device: "192.168.77.4" }),
  forward: (gateway) => gateway.do(portAdd({ externalPort: 443, internalAddress: "192.168.77.5" }), "api:test"),
  "forward from some": (gateway) =>
    gateway.do(portAdd({ externalPort: 443, internalAddress: "192.168.77.6", from: ["198.51.100.0/24"] }), "api:test"),
  route: (gateway) => route(gateway, "a.example.org", { internalAddress: "192.168.77.7" }),
};

/** What the second is told, where the first was there. */
const FIGHTS: Record<string, Record<string, string>> = {
  "PCP whole": { "PCP name": "PORT_TAKEN", "PCP same name": "PORT_TAKEN" },
  "PCP name": { "PCP same name": "HOSTNAME_TAKEN" },
  "PCP same name": { "PCP name": "HOSTNAME_TAKEN" },
  forward: {
    "PCP whole": "CANNOT_PROVIDE_EXTERNAL",
    "PCP name": "PORT_TAKEN",
    "PCP same name": "PORT_TAKEN",
    "forward from some": "PORT_TAKEN",
  },
  "forward from some": {
    "PCP whole": "CANNOT_PROVIDE_EXTERNAL",
    "PCP name": "PORT_TAKEN",
    "PCP same name": "PORT_TAKEN",
    forward: "PORT_TAKEN",
    route: "PORT_TAKEN",
  },
  route: { "PCP name": "HOSTNAME_TAKEN", "PCP same name": "HOSTNAME_TAKEN", "forward from some": "PORT_TAKEN" },
};

describe("[P6] a fight over one port", () => {
  const pairs = Object.keys(PARTIES).flatMap((first) =>
    Object.keys(PARTIES)
      .filter((second) => second !== first)
      .map((second) => [first, second] as const),
  );
  it.each(pairs)("%s, then %s", (first, second) => {
    const gateway = new Gateway();
    expect((PARTIES[first] as Party)(gateway).ok).toBe(true);
    const decision = (PARTIES[second] as Party)(gateway);
    const expected = FIGHTS[first]?.[second] ?? "granted";
    expect(decision.ok ? "granted" : decision.refusal.code).toBe(expected);
    if (!decision.ok) expect(decision.refusal.conflicts).toHaveLength(1);
  });

  it("by UPnP's vendor actions a name is had, renewed, refused and given back in the same table", () => {
    const gateway = new Gateway();
    const ask = (fields: Partial<Parameters<typeof upnpMap>[0]> = {}) => {
      const asked = { externalPort: 443, internalPort: 443, lifetime: 0, name: "a.example.org", ...fields };
      return gateway.do(upnpMap(asked), `upnp:${asked.device ?? DEVICE}`);
    };
    const drop = (device: string, name: string, internalPort = 443) => {
      const command = { type: "upnpUnmap", interface: "lan0", device, protocol: "tcp", externalPort: 443 } as const;
      return gateway.do({ ...command, remoteHost: null, name, internalPort }, `upnp:${device}`);
    };
    expect(mapped(ask())).toMatchObject({ externalPort: 443, lifetime: 3600 });
    expect(eventsOf(ask())).toEqual([]);
    const short = new Gateway();
    const { settings } = short.state;
    const lifetime = { ...settings.portControl.lifetime, max: 600 };
    short.append([
      event("settings.changed", { settings: { ...settings, portControl: { ...settings.portControl, lifetime } } }),
    ]);
    expect(
      mapped(
        short.do(
          upnpMap({ externalPort: 443, internalPort: 443, lifetime: 0, name: "a.example.org" }),
          `upnp:${DEVICE}`,
        ),
      ).lifetime,
    ).toBe(600);
    expect(eventsOf(ask({ description: "web" }))).toEqual(["lease.changed"]);
    expect(eventsOf(named(gateway, ["a.example.org"]))).toEqual(["lease.granted"]);
    expect(refusalOf(ask({ device: OTHER_DEVICE })).code).toBe("HOSTNAME_TAKEN");
    expect(refusalOf(ask({ remoteHost: "198.51.100.7" })).code).toBe("HOSTNAME_UNSUPPORTED");
    expect(refusalOf(ask({ protocol: "udp" })).code).toBe("HOSTNAME_UNSUPPORTED");
    expect(refusalOf(ask({ name: "a_b" })).code).toBe("HOSTNAME_UNSUPPORTED");
    expect(refusalOf(drop(OTHER_DEVICE, "a.example.org")).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(drop(DEVICE, "b.example.org")).code).toBe("NOT_FOUND");
    expect(refusalOf(drop(DEVICE, "a.example.org", 8443)).code).toBe("NOT_FOUND");
    expect(eventsOf(drop(DEVICE, "A.example.org"))).toEqual(["lease.released"]);
    expect(led(gateway)).toHaveProperty("443 a.example.org");
    gateway.unmap({ internalPort: 443, names: ["a.example.org"] });
    expect(led(gateway)).toEqual({});
  });

  it("one peer alone is let in by UPnP on a port that nobody shares", () => {
    const gateway = new Gateway();
    named(gateway, ["a.example.org"], { suggestedPort: 9443 });
    const ask = (remoteHost: string | null) =>
      gateway.do(upnpMap({ device: OTHER_DEVICE, externalPort: 9443, remoteHost }), `upnp:${OTHER_DEVICE}`);
    expect(refusalOf(ask("198.51.100.7")).code).toBe("PORT_TAKEN");
    expect(ask(null).ok).toBe(true);
  });
});

describe("[P4] [P6] a port that names share is reached by everyone", () => {
  const PEER = { prefix: "198.51.100.7/32", port: null };
  const shared = (): Gateway => {
    const gateway = new Gateway({}, "same-host");
    expect(gateway.map({ internalPort: 443, suggestedPort: 443 }).ok).toBe(true);
    route(gateway, "b.example.org");
    return gateway;
  };

  it("PCP-S-29 a FILTER that comes later is refused, and the mapping is as it was", () => {
    const gateway = shared();
    const asked = gateway.map({ internalPort: 443, suggestedPort: 443, filters: [PEER] });
    expect(refusalOf(asked).code).toBe("TOO_MANY_FILTERS");
    const other = gateway.map({ internalPort: 443, suggestedPort: 443, nonce: OTHER_NONCE, filters: [PEER] });
    expect(refusalOf(other).code).toBe("TOO_MANY_FILTERS");
    expect(led(gateway)).toHaveProperty("443");
  });

  it("IGD-06 a remote host is given another port, or 718", () => {
    const gateway = new Gateway();
    gateway.map({ internalPort: 9443, suggestedPort: 9443 });
    route(gateway, "c.example.org", { externalPort: 9443 });
    const asked = { internalPort: 9443, externalPort: 9443, remoteHost: "198.51.100.7" };
    expect(refusalOf(gateway.do(upnpMap(asked), `upnp:${DEVICE}`)).code).toBe("PORT_TAKEN");
    const other = gateway.do(upnpMap({ ...asked, internalPort: 8443 }), `upnp:${DEVICE}`);
    expect(refusalOf(other).code).toBe("PORT_TAKEN");
    const any = mapped(gateway.do(upnpMap({ ...asked, any: true }), `upnp:${DEVICE}`));
    expect(any.externalPort).not.toBe(9443);
    expect(led(gateway)).toHaveProperty("9443");
  });
});

describe("[F6] the redirect of HTTP", () => {
  it("is there while a name is on 443 and nothing on 80, however that came about", () => {
    const gateway = new Gateway();
    route(gateway, "a.example.org");
    expect(led(gateway)).toHaveProperty("redirect");
    gateway.map({ internalPort: 80, suggestedPort: 80 });
    expect(led(gateway)).not.toHaveProperty("redirect");
    expect(forwardOf(gateway, 80)).toMatchObject({ toAddress: DEVICE });
    gateway.unmap({ internalPort: 80 });
    expect(led(gateway)).toHaveProperty("redirect");
  });

  it("has the port by an operator's word, and leaves it to a forward that was there before", () => {
    const gateway = new Gateway();
    const { settings } = gateway.state;
    const chosen = (httpRedirect: "on" | "off") =>
      gateway.append([
        event("settings.changed", { settings: { ...settings, wan: { ...settings.wan, httpRedirect } } }),
      ]);
    chosen("on");
    expect(led(gateway)).toEqual({ redirect: WAN_ADDRESS });
    expect(refusalOf(gateway.do(portAdd({ externalPort: 80 }), "api:test")).code).toBe("PORT_PROTECTED");
    expect(mapped(gateway.map({ internalPort: 8081, suggestedPort: 80 })).externalPort).not.toBe(80);
    chosen("off");
    expect(gateway.do(portAdd({ externalPort: 80 }), "api:test").ok).toBe(true);
    chosen("on");
    expect(led(gateway)).toEqual({});
    expect(forwardOf(gateway, 80)).toMatchObject({ toAddress: DEVICE });
  });
});

describe("what arrives at HAProxy's own ports", () => {
  const ports = (gateway: Gateway) =>
    proxiedOf(gateway.state).map(({ interface: own, address, port, targets }) => {
      return [own, address, port, ...targets.map(({ internalAddress }) => internalAddress)];
    });

  it("is what is for routes that are open, with all whom it leads to, and the redirect", () => {
    const whole = new Gateway();
    whole.map({ internalPort: 443, suggestedPort: 443 });
    expect(ports(whole), "a forward of the whole port is none").toEqual([]);
    const gateway = new Gateway();
    named(gateway, ["a.example.org"], { device: OTHER_DEVICE });
    gateway.map({ internalPort: 443, suggestedPort: 443 });
    expect(ports(gateway)).toEqual([
      ["wan0", WAN_ADDRESS, 60_443, OTHER_DEVICE, DEVICE],
      ["wan0", WAN_ADDRESS, 60_080],
    ]);
    const id = [...tableRows(gateway.state.mappings)].find(({ name }) => name !== null)?.id ?? "";
    gateway.append([event("mapping.changed", { id, enabled: false })]);
    expect(ports(gateway)).toEqual([]);
  });

  it("is guarded also where no interface is served", () => {
    const gateway = new Gateway();
    const { settings } = gateway.state;
    const chosen = (httpRedirect: "on" | "off") => {
      const wan = { ...settings.wan, httpRedirect };
      gateway.append([event("settings.changed", { settings: { ...settings, lan: [], wan } })]);
      return select(gateway.state);
    };
    const select = selectGuard("0123456789abcdef");
    expect([...chosen("off").rows()]).toEqual([]);
    expect([...chosen("on").rows()].map(({ key }) => key)).toEqual(["guard", "anchor"]);
  });

  it("is guarded from the first route on, and until the last", () => {
    const gateway = new Gateway();
    const select = selectGuard("0123456789abcdef");
    const before = select(gateway.state);
    named(gateway, ["a.example.org"], { device: OTHER_DEVICE });
    expect([...(select(gateway.state).changedSince(before) ?? [])]).toEqual(
      expect.arrayContaining(["guard", "anchor"]),
    );
  });
});

describe("[F5] an operator's route", () => {
  it("takes a name from a device, and not from an operator; a second WAN address is another port", () => {
    const gateway = new Gateway();
    named(gateway, ["a.example.org"]);
    expect(eventsOf(route(gateway, "A.example.org", { internalAddress: OTHER_DEVICE }))).toEqual([
      "lease.released",
      "mapping.granted",
    ]);
    expect(led(gateway)).toMatchObject({ "443 a.example.org": `${OTHER_DEVICE}:443` });
    expect(refusalOf(route(gateway, "a.example.org")).code).toBe("PORT_TAKEN");
    expect(refusalOf(route(gateway, "b.example.org", { protocol: "udp" })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(route(gateway, "b.example.org", { count: 2 })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(route(gateway, "b.example.org", { from: ["198.51.100.0/24"] })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(route(gateway, "10.0.0.1")).code).toBe("HOSTNAME_UNSUPPORTED");
  });

  it("is what a table from scratch says, whatever came before", () => {
    const gateway = new Gateway();
    const steps: (() => void)[] = [
      () => route(gateway, "a.example.org"),
      () => gateway.map({ device: OTHER_DEVICE, internalPort: 443, suggestedPort: 443 }),
      () => route(gateway, "*.example.org", { internalAddress: OTHER_DEVICE }),
      () => gateway.map({ internalPort: 80, suggestedPort: 80 }),
      () => gateway.unmap({ internalPort: 80 }),
      ...["a.example.org", "*.example.org"].map((name) => () => {
        const mapping = [...tableRows(gateway.state.mappings)].find((each) => each.name === name);
        gateway.do({ type: "port.remove", id: mapping?.id ?? "" }, "api:test");
      }),
    ];
    let [led, kernel] = [sni(gateway.state), forwards(gateway.state)];
    for (const step of steps) {
      step();
      for (const [before, select] of [
        [led, sni],
        [kernel, forwards],
      ] as const) {
        const after = select(gateway.state);
        const told = new Set(after.changedSince(before as never));
        const specs = (table: typeof after) =>
          new Map([...table.rows()].map(({ key, spec }) => [key, JSON.stringify(spec)]));
        const [old, now] = [specs(before), specs(after)];
        const changed = [...new Set([...old.keys(), ...now.keys()])].filter((key) => old.get(key) !== now.get(key));
        expect(changed.filter((key) => !told.has(key))).toEqual([]);
      }
      [led, kernel] = [sni(gateway.state), forwards(gateway.state)];
    }
  });
});

describe("HTTP that is sent to HTTPS", () => {
  it("names its rival also on a WAN that is one address of an interface", () => {
    const gateway = new Gateway();
    const addresses = [`${WAN_ADDRESS}/24`, "11.22.33.9/24"];
    gateway.append([event("interface.observed", { name: "wan0", up: true, addresses, gateway: null })]);
    gateway.do(portAdd({ externalPort: 80, wan: "11.22.33.9" }), "api:test");
    const wan = { ...gateway.state.settings.wan, httpRedirect: "on" } as const;
    gateway.append([event("settings.changed", { settings: { ...gateway.state.settings, wan } })]);
    expect(redirectRivals(gateway.state).join()).toMatch(/on 11\.22\.33\.9$/);
  });
});
