import { describe, expect, it } from "vitest";
import { LeaseBook } from "../../../src/controller/lease-book.ts";
import { tableGet } from "../../../src/lib/table.ts";
import type { DnsUpdate, Prerequisite, RecordChange } from "../../../src/lib/dns-record.ts";
import type { Decision } from "../../../src/reducers/decide/command.ts";
import { namesOfDevice } from "../../../src/reducers/dns-record.ts";
import { selectDns } from "../../../src/reducers/select/dns-rows.ts";
import type { DnsNameRow } from "../../../src/lib/dns-row.ts";
import { Router } from "./router.ts";

/** Updates as devices send them, and the records that there are after each. */
class Names extends Router {
  readonly #select = selectDns();

  constructor() {
    super();
    this.device("nas");
    this.device("laptop", { kind: "client" });
    this.device("box");
  }

  update(
    name: string,
    changes: readonly RecordChange[],
    more: Partial<DnsUpdate> & { signed?: boolean; interface?: string } = {},
  ): Decision {
    const { signed = true, interface: iface = "wg0", ...fields } = more;
    const update = { zone: "home.internal", prerequisites: [], changes, lease: null, ...fields };
    const { id, address } = this.find(name);
    return this.do({ type: "dns.update", device: id, interface: iface, signed, update }, `dns:${address}`);
  }

  row(name: string) {
    return this.#select(this.state).get(`name|${name}`);
  }

  /** What is served at a name: "A 300 10.59.7.2". */
  served(name: string): string[] {
    const row = this.row(name)?.spec as DnsNameRow | undefined;
    return (row?.records ?? []).map(({ type, ttl, value }) => `${type} ${ttl} ${value}`);
  }

  views(name: string): readonly string[] | null | undefined {
    return (this.#select(this.state).get(`name|${name}`)?.spec as DnsNameRow | undefined)?.views;
  }

  record(name: string, recordType: string, value: string, ttl: number | null = null): Decision {
    return this.do({ type: "record.add", name, recordType, value, ttl, views: null }, "api:root");
  }
}

const add = (name: string, type: string, value: string, ttl = 300): RecordChange => ({
  kind: "add",
  name,
  type,
  ttl,
  value,
});
const codeOf = (decision: Decision): string => (decision.ok ? "ok" : decision.refusal.code);
const eventsOf = (decision: Decision): string[] =>
  decision.ok ? decision.events.map(({ type }) => type) : ["refused"];
const PHOTOS = "photos.home.internal";

describe("a device's update", () => {
  it("[D2] adds, and its records are served at once", () => {
    const names = new Names();
    expect(codeOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2"), add(PHOTOS, "TXT", '"x"')]))).toBe("ok");
    expect(names.served(PHOTOS)).toEqual(["A 300 10.59.7.2", 'TXT 300 "x"']);
    expect(names.views(PHOTOS)).toEqual([names.idOfSubnet("home")]);
  });

  it("[D3] that repeats what is there appends nothing and lives on", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]);
    const set: RecordChange[] = [{ kind: "delete-rrset", name: PHOTOS, type: "A" }, add(PHOTOS, "A", "10.59.7.2")];
    for (let hour = 0; hour < 100; hour += 1) expect(eventsOf(names.later(3600).update("nas", set))).toEqual([]);
    expect(names.do({ type: "leases.expire" }, "clock").ok).toBe(true);
    expect(names.served(PHOTOS)).toEqual(["A 300 10.59.7.2"]);
    names.later(86_401).do({ type: "leases.expire" }, "clock");
    expect(names.served(PHOTOS)).toEqual([]);
  });

  it("[D3] has the lease that it asks for, within limits, and a longer one is logged", () => {
    const names = new Names();
    const first = names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 60 });
    expect(first.ok && first.answer).toEqual({ kind: "updated", lease: 60 });
    expect(eventsOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 3600 }))).toEqual(["dns.updated"]);
    expect(eventsOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 600 }))).toEqual([]);
    const long = names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 10_000_000 });
    expect(long.ok && long.answer).toEqual({ kind: "updated", lease: 7 * 86_400 });
  });

  it("[D2] is of one TTL for all of an RRset, and a TTL with the top bit is zero (U27 U28)", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2", 60)]);
    names.update("nas", [add(PHOTOS, "A", "10.59.7.9", 90)]);
    expect(names.served(PHOTOS)).toEqual(["A 90 10.59.7.2", "A 90 10.59.7.9"]);
    names.update("nas", [add(PHOTOS, "A", "10.59.7.9", 0x8000_0000)]);
    expect(names.served(PHOTOS)).toEqual(["A 0 10.59.7.2", "A 0 10.59.7.9"]);
  });

  it("[D2] passes over an alias at the apex of the device's own zone, and takes other records there (U29 U32)", () => {
    const names = new Names();
    names.edit("nas", { zones: ["shop.example"] });
    const zone = "shop.example";
    expect(eventsOf(names.update("nas", [add(zone, "CNAME", "a.example")], { zone }))).toEqual([]);
    names.update("nas", [add(zone, "A", "10.59.7.2")], { zone });
    expect(names.served(zone)).toEqual(["A 300 10.59.7.2"]);
    names.update("nas", [{ kind: "delete-name", name: zone }], { zone });
    expect(names.served(zone)).toEqual([]);
    // Of the gateway's own it is refused, as nothing there is a device's.
    expect(codeOf(names.update("nas", [add("home.internal", "CNAME", "a.example")]))).toBe("NOT_AUTHORIZED");
  });

  it("[D2] keeps an alias alone, without a word (U29)", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]);
    expect(eventsOf(names.update("nas", [add(PHOTOS, "CNAME", "nas.home.internal")]))).toEqual([]);
    const switched = [{ kind: "delete-rrset", name: PHOTOS, type: "A" } as const, add(PHOTOS, "CNAME", "a.example")];
    names.update("nas", switched);
    expect(eventsOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]))).toEqual([]);
    names.update("nas", [add(PHOTOS, "CNAME", "b.example", 60)]);
    expect(names.served(PHOTOS)).toEqual(["CNAME 60 b.example"]);
    // Its own name has its address by itself.
    expect(eventsOf(names.update("nas", [add("nas.home.internal", "CNAME", "b.example")]))).toEqual([]);
  });

  it("[D2] passes over SOA and over NS at an apex, and takes no delegation and nothing of DNSSEC (U30 U33)", () => {
    const names = new Names();
    const soa = "a.example b.example 999999999 1 1 1 1";
    expect(eventsOf(names.update("nas", [add("home.internal", "SOA", soa)]))).toEqual([]);
    expect(eventsOf(names.update("nas", [{ kind: "delete-rrset", name: "home.internal", type: "NS" }]))).toEqual([]);
    expect(codeOf(names.update("nas", [add(PHOTOS, "NS", "ns.example")]))).toBe("NOT_AUTHORIZED");
    expect(codeOf(names.update("nas", [add(PHOTOS, "NSEC", "\\# 0")]))).toBe("NOT_AUTHORIZED");
  });

  it("[D2] deletes a value whose name is in another case, and what is not there (U31 U36)", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "CNAME", "WWW.Example.Test")]);
    names.update("nas", [{ kind: "delete-value", name: PHOTOS, type: "CNAME", value: "www.example.test" }]);
    expect(names.served(PHOTOS)).toEqual([]);
    expect(eventsOf(names.update("nas", [{ kind: "delete-name", name: PHOTOS }]))).toEqual([]);
  });
});

describe("prerequisites", () => {
  const ask = (...prerequisites: Prerequisite[]): Partial<DnsUpdate> => ({ prerequisites });

  it("[D2] fail each with its own code, and then nothing is changed (U9 to U16)", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2"), add(PHOTOS, "A", "10.59.7.9")]);
    const change = [add("x.home.internal", "A", "10.59.7.2")];
    const cases: [Prerequisite, string][] = [
      [{ kind: "name-in-use", name: "nobody.home.internal" }, "DNS_NAME_ABSENT"],
      [{ kind: "name-not-in-use", name: PHOTOS }, "DNS_NAME_IN_USE"],
      [{ kind: "rrset-exists", name: PHOTOS, type: "TXT" }, "DNS_RRSET_ABSENT"],
      [{ kind: "rrset-absent", name: PHOTOS, type: "A" }, "DNS_RRSET_EXISTS"],
      [{ kind: "rrset-equals", name: PHOTOS, type: "A", values: ["10.59.7.2"] }, "DNS_RRSET_ABSENT"],
      [{ kind: "outside", name: "a.example" }, "DNS_NOT_ZONE"],
    ];
    for (const [each, code] of cases) expect(codeOf(names.update("nas", change, ask(each)))).toBe(code);
    expect(names.served("x.home.internal")).toEqual([]);
    const met: Prerequisite[] = [
      { kind: "rrset-equals", name: PHOTOS, type: "A", values: ["10.59.7.9", "10.59.7.2"] },
      { kind: "name-in-use", name: "nas.home.internal" },
      { kind: "rrset-exists", name: "home.internal", type: "SOA" },
      // An empty non-terminal is not in use (U15); a wildcard is one name (U18).
      { kind: "name-not-in-use", name: "b.home.internal" },
    ];
    expect(codeOf(names.update("nas", change, ask(...met)))).toBe("ok");
  });

  it("[D2] are looked at in order, whole sets last (U16 U17)", () => {
    const names = new Names();
    const whole: Prerequisite = { kind: "rrset-equals", name: PHOTOS, type: "A", values: ["10.59.7.2"] };
    const absent: Prerequisite = { kind: "name-in-use", name: PHOTOS };
    const outside: Prerequisite = { kind: "outside", name: "a.example" };
    expect(codeOf(names.update("nas", [], ask(whole, absent)))).toBe("DNS_NAME_ABSENT");
    expect(codeOf(names.update("nas", [], ask(absent, outside)))).toBe("DNS_NAME_ABSENT");
    expect(codeOf(names.update("nas", [], ask(outside, absent)))).toBe("DNS_NOT_ZONE");
  });

  it("[D2] compare the SOA as it is served (U19)", () => {
    const names = new Names();
    const soaOf = (serial: number): Prerequisite => {
      const value = `ns.home.internal hostmaster.home.internal ${serial} 1200 180 1209600 5`;
      return { kind: "rrset-equals", name: "home.internal", type: "SOA", values: [value] };
    };
    expect(codeOf(names.update("nas", [], ask(soaOf(names.state.dnsRevision))))).toBe("ok");
    expect(codeOf(names.update("nas", [], ask(soaOf(1))))).toBe("DNS_RRSET_ABSENT");
  });
});

describe("prerequisites see what the gateway has by itself", () => {
  const said = (names: Names, zone: string, each: Prerequisite): string =>
    codeOf(names.update("nas", [], { zone, prerequisites: [each] }));

  it("[D2] the name server of each zone, in use as it is served (U9 U10 U11)", () => {
    const names = new Names();
    const name = "ns.home.internal";
    const address: Prerequisite = { kind: "rrset-equals", name, type: "A", values: ["10.59.7.1"] };
    expect(said(names, "home.internal", { kind: "name-not-in-use", name })).toBe("DNS_NAME_IN_USE");
    expect(said(names, "home.internal", address)).toBe("ok");
    expect(said(names, "home.internal", { kind: "name-in-use", name: "ns.nas.home.internal" })).toBe("DNS_NAME_ABSENT");
  });

  it("[D2] the reverse name of an address (U10)", () => {
    const names = new Names();
    const name = `${names.find("nas").address.split(".").toReversed().join(".")}.in-addr.arpa`;
    const zone = name.slice(name.indexOf(".") + 1);
    const pointer: Prerequisite = { kind: "rrset-equals", name, type: "PTR", values: ["nas.home.internal"] };
    expect(said(names, zone, pointer)).toBe("ok");
    expect(said(names, zone, { kind: "name-not-in-use", name })).toBe("DNS_NAME_IN_USE");
  });

  it("[D2] a published name outside of all zones as the zone that it is answered for (U7 U19)", () => {
    const names = new Names();
    const zone = "photos.example.com";
    const soa: Prerequisite = { kind: "rrset-exists", name: zone, type: "SOA" };
    expect(said(names, zone, soa)).toBe("DNS_NOT_AUTHORITATIVE");
    names.update("nas", [add(zone, "A", "10.59.7.2")], { zone: "example.com" });
    expect(said(names, zone, soa)).toBe("ok");
    expect(said(names, zone, { kind: "name-in-use", name: `ns.${zone}` })).toBe("ok");
    expect(said(names, "example.com", soa)).toBe("DNS_NOT_AUTHORITATIVE");
    names.update("nas", [{ kind: "delete-name", name: zone }, add(zone, "CNAME", "a.example")], { zone });
    expect(said(names, zone, { kind: "rrset-absent", name: zone, type: "SOA" })).toBe("ok");
  });
});

describe("who may publish what", () => {
  it("[D3] a server any name, by the zone above it, which need not be ours", () => {
    const names = new Names();
    const name = "photos.example.com";
    expect(codeOf(names.update("nas", [add(name, "A", "10.59.7.2")], { zone: "example.com" }))).toBe("ok");
    expect(names.served(name)).toEqual(["A 300 10.59.7.2"]);
    expect(codeOf(names.update("nas", [], { zone: "example.com" }))).toBe("DNS_NOT_AUTHORITATIVE");
    expect(codeOf(names.update("nas", [add(name, "A", "10.59.7.2")], { zone: "." }))).toBe("DNS_NOT_AUTHORITATIVE");
    expect(codeOf(names.update("nas", [add(name, "A", "10.59.7.2")]))).toBe("DNS_NOT_ZONE");
  });

  it("[D3] nobody what is another's, an operator's or the gateway's", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]);
    names.record("www.home.internal", "A", "10.59.7.1");
    const taken = [PHOTOS, "www.home.internal", "nas.home.internal", "_acme-challenge.nas.home.internal"];
    const reserved = [
      "ns.home.internal",
      "*.home.internal",
      "*.com",
      "*.arpa",
      "com",
      "x.localhost",
      "ipv4only.arpa",
      "_acme-challenge.home.internal",
      "wpad.home.internal",
      "isatap.internal",
      "9.7.59.10.in-addr.arpa",
    ];
    for (const name of [...taken, ...reserved, "home.internal"]) {
      const zone = name === "home.internal" ? name : name.slice(name.indexOf(".") + 1);
      const code = codeOf(names.update("box", [add(name, "A", "10.59.7.4")], { zone }));
      expect([name, code]).toEqual([name, "NOT_AUTHORIZED"]);
    }
    expect(codeOf(names.update("box", [{ kind: "delete-name", name: PHOTOS }]))).toBe("NOT_AUTHORIZED");
    // What goes is free for the next.
    names.update("nas", [{ kind: "delete-name", name: PHOTOS }]);
    expect(codeOf(names.update("box", [add(PHOTOS, "A", "10.59.7.4")]))).toBe("ok");
  });

  it("[D3] a dot within a label is no way into a zone", () => {
    const names = new Names();
    names.edit("laptop", { dns: "auto" });
    const name = String.raw`x\.home.internal`;
    expect(codeOf(names.update("laptop", [add(name, "TXT", '"x"')]))).toBe("DNS_NOT_ZONE");
  });

  it("[D3] what is below another's name, or what its wildcard stands for, waits for a yes", () => {
    const names = new Names();
    names.update("nas", [add("photos.example.com", "A", "10.59.7.2")], { zone: "example.com" });
    names.record("*.apps.home.internal", "A", "10.59.7.1");
    names.subnet("lab", "10.61.0.0/24");
    const asks = (name: string, who = "box"): string =>
      codeOf(names.update(who, [add(name, "A", "10.59.7.4")], { zone: name.slice(name.indexOf(".") + 1) }));
    const below = ["*.photos.example.com", "_acme-challenge.photos.example.com", "a.b.photos.example.com"];
    const stoodFor = ["www.apps.home.internal", "x.www.apps.home.internal", "*.www.apps.home.internal"];
    for (const name of [...below, ...stoodFor, "printer.lab.internal"])
      expect([name, asks(name)]).toEqual([name, "APPROVAL_PENDING"]);
    // Its own are no obstacle, nor is what is above or beside them.
    const free = ["a.photos.example.com", "*.photos.example.com"];
    for (const name of free) expect([name, asks(name, "nas")]).toEqual([name, "ok"]);
    for (const name of ["example.com", "example.net", "apps.home.internal"])
      expect([name, asks(name)]).toEqual([name, "ok"]);
    const allow = { type: "name.allow", id: names.find("box").id, name: "www.apps.home.internal" } as const;
    names.do({ ...allow, allowed: true }, "api:root");
    expect(asks("x.www.apps.home.internal")).toBe("ok");
    names.do({ ...allow, allowed: false }, "api:root");
    expect(names.served("x.www.apps.home.internal"), "goes with the yes").toEqual([]);
  });

  it("[D3] who has a name keeps it when an operator publishes above it, and below an apex everybody may", () => {
    const names = new Names();
    names.record("home.internal", "A", "10.59.7.1");
    const again = () => codeOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]));
    expect(again()).toBe("ok");
    names.record("*.home.internal", "A", "10.59.7.1");
    expect(again()).toBe("ok");
    expect(codeOf(names.update("nas", [add("new.home.internal", "A", "10.59.7.2")]))).toBe("APPROVAL_PENDING");
  });

  it("[D3] a client nothing until it is let, then what is below zones of ours, and what an operator says yes to", () => {
    const names = new Names();
    const change = [add(PHOTOS, "A", "10.59.7.3")];
    expect(codeOf(names.update("laptop", change))).toBe("NOT_AUTHORIZED");
    names.edit("laptop", { dns: "auto" });
    expect(codeOf(names.update("laptop", change))).toBe("ok");
    const shop = [add("shop.example.com", "A", "10.59.7.3")];
    expect(codeOf(names.update("laptop", shop, { zone: "example.com" }))).toBe("APPROVAL_PENDING");
    names.do({ type: "name.allow", id: names.find("laptop").id, name: "example.com", allowed: true }, "api:root");
    expect(codeOf(names.update("laptop", shop, { zone: "example.com" }))).toBe("ok");
    names.do({ type: "name.allow", id: names.find("laptop").id, name: "example.com", allowed: false }, "api:root");
    expect([names.served("shop.example.com"), names.served(PHOTOS)]).toEqual([[], ["A 300 10.59.7.3"]]);
  });

  it("[D3] a server nothing that would stand for names of strangers: no public suffix, and no wildcard below one", () => {
    const names = new Names();
    const said = (name: string, zone: string): string => {
      const decision = names.update("nas", [add(name, "A", "10.59.7.2")], { zone });
      return decision.ok ? "ok" : `${decision.refusal.code} ${decision.refusal.message}`;
    };
    expect(said("*.co.uk", "co.uk")).toBe(
      "NOT_AUTHORIZED nas may not publish *.co.uk: it would stand for every name of co.uk, where others register theirs",
    );
    expect(said("co.uk", "uk")).toMatch(/^NOT_AUTHORIZED .*: others register names below it$/);
    expect(said("*.com", "com")).toMatch(/^NOT_AUTHORIZED .*every name of com/);
    expect(codeOf(names.edit("nas", { zones: ["com.au"] }))).toBe("CONFLICT");
    expect(said("*.shop.co.uk", "shop.co.uk")).toBe("ok");
    expect(said("shop.co.uk", "co.uk")).toBe("ok");
  });

  it("[D1] no RRset that is longer than an answer may be, by hand or by an update", () => {
    const names = new Names();
    const text = (index: number): string => JSON.stringify(`${index}`.padEnd(3900, "x"));
    const decisions = Array.from({ length: 16 }, (_, index) => names.record("txt.example.org", "TXT", text(index)));
    expect(decisions.map(codeOf)).toEqual([...Array<string>(15).fill("ok"), "QUOTA_EXCEEDED"]);
    expect(codeOf(names.record("txt.example.org", "A", "10.59.7.9")), "another RRset of the name").toBe("ok");
    const id =
      names.state && tableGet(names.state.names, "txt.example.org")?.records.find(({ type }) => type === "A")?.id;
    expect(codeOf(names.do({ type: "record.edit", id: id ?? "", value: "10.59.7.8" }, "api:root"))).toBe("ok");
    const updates = Array.from({ length: 16 }, (_, index) =>
      names.update("nas", [add("big.home.internal", "TXT", text(index))]),
    );
    expect(updates.map(codeOf)).toEqual([...Array<string>(15).fill("ok"), "QUOTA_EXCEEDED"]);
    const last = updates.at(-1);
    expect(last?.ok === false ? last.refusal.message : "").toContain(
      "all TXT records of big.home.internal are one answer",
    );
    expect(codeOf(names.update("nas", [{ kind: "delete-name", name: "big.home.internal" }]))).toBe("ok");
  });

  it("[D3] a name that a shell would run is quoted where it is to be typed", () => {
    const names = new Names();
    names.edit("laptop", { dns: "ask" });
    const said = (name: string): string => {
      const decision = names.update("laptop", [add(name, "A", "10.59.7.3")], { zone: "example.com" });
      return decision.ok ? "ok" : decision.refusal.message;
    };
    expect(said("a-b_1.example.com")).toContain("`portreeve device allow laptop a-b_1.example.com`");
    expect(said("x|reboot|y.example.com")).toContain("`portreeve device allow laptop 'x|reboot|y.example.com'`");
    expect(said("'&reboot&'.example.com")).toContain(String.raw`laptop ''\''&reboot&'\''.example.com'`);
    expect(said("*.example.com")).toContain("laptop '*.example.com'`");
  });

  it("[D3] with the right `ask` each name waits, and a delegated zone is a yes", () => {
    const names = new Names();
    names.edit("laptop", { dns: "ask" });
    expect(codeOf(names.update("laptop", [add(PHOTOS, "A", "10.59.7.3")]))).toBe("APPROVAL_PENDING");
    names.edit("laptop", { zones: ["lap.example"] });
    const apex = [add("lap.example", "A", "10.59.7.3")];
    expect(codeOf(names.update("laptop", apex, { zone: "lap.example" }))).toBe("ok");
    expect(codeOf(names.edit("nas", { zones: ["lap.example"] }))).toBe("CONFLICT");
    expect(codeOf(names.update("nas", [add("x.lap.example", "A", "10.59.7.2")], { zone: "lap.example" }))).toBe(
      "NOT_AUTHORIZED",
    );
  });

  it("[D3] what it put there goes with its right, its device and its subnet, in the same change", () => {
    for (const end of ["right", "device", "subnet", "kind"] as const) {
      const names = new Names();
      names.update("nas", [add("photos.example.com", "A", "10.59.7.2")], { zone: "example.com" });
      const { id } = names.find("nas");
      if (end === "right") names.edit("nas", { dns: "off" });
      else if (end === "kind") names.edit("nas", { kind: "client" });
      else if (end === "device") names.do({ type: "device.remove", id });
      else names.do({ type: "subnet.remove", id: names.idOfSubnet("home") });
      expect([end, namesOfDevice(names.state, id), names.state.names.size]).toEqual([end, [], 0]);
    }
  });

  it("[D3] no name of very many labels, each of which is looked up", () => {
    const names = new Names();
    const deep = (labels: number): string => `${"a.".repeat(labels - 2)}example.com`;
    const put = (name: string) => codeOf(names.update("nas", [add(name, "A", "10.59.7.2")], { zone: "example.com" }));
    expect([put(deep(16)), put(deep(17)), put(deep(120))]).toEqual(["ok", "NOT_AUTHORIZED", "NOT_AUTHORIZED"]);
    const prerequisites = Array.from({ length: 200 }, () => ({ kind: "name-in-use", name: deep(120) }) as const);
    expect(codeOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { prerequisites }))).toBe("QUOTA_EXCEEDED");
  });

  it("[D3] no more text than its quota: of a record, of an update, and in all", () => {
    const names = new Names();
    const text = (length: number): string => `"${"x".repeat(length - 2)}"`;
    const put = (name: string, ...lengths: number[]): string =>
      codeOf(
        names.later(60).update(
          "nas",
          lengths.map((length, n) => add(`${n}.${name}.home.internal`, "TXT", text(length))),
        ),
      );
    expect([put("a", 4097), put("a", 4096)]).toEqual(["QUOTA_EXCEEDED", "ok"]);
    expect([put("b", ...Array<number>(9).fill(4000)), put("b", ...Array<number>(8).fill(4000))]).toEqual([
      "QUOTA_EXCEEDED",
      "ok",
    ]);
    const codes = Array.from({ length: 8 }, (_, n) => put(`c${n}`, ...Array<number>(8).fill(4000)));
    expect(codes).toEqual([...Array<string>(7).fill("ok"), "QUOTA_EXCEEDED"]);
    // What it takes away makes room.
    const less: RecordChange[] = Array.from({ length: 8 }, (_, n) => ({
      kind: "delete-name",
      name: `${n}.c0.home.internal`,
    }));
    expect(codeOf(names.update("nas", [...less, add("d.home.internal", "TXT", text(4000))]))).toBe("ok");
  });

  it("[D3] no more than its quota, of records and of changes", () => {
    const names = new Names();
    const many = Array.from({ length: 101 }, (_, n) => add(PHOTOS, "TXT", `"${n}"`));
    expect(codeOf(names.update("nas", many))).toBe("QUOTA_EXCEEDED");
    for (let n = 0; n < 512; n += 1)
      names.update("nas", [
        add(PHOTOS, "TXT", `"${n}"`),
        { kind: "delete-name", name: PHOTOS },
        add(PHOTOS, "TXT", `"${n}"`),
      ]);
    expect(codeOf(names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]))).toBe("EVENT_QUOTA_EXCEEDED");
    expect(codeOf(names.update("box", [add("b.home.internal", "A", "10.59.7.4")]))).toBe("ok");
  });
});

describe("on a LAN", () => {
  /** With a resolver there, and a device that may publish names. */
  function lan(dnsUpdates: "signed" | "own-address"): Names {
    const names = new Names();
    const { settings } = names.state;
    const served = settings.lan.map((each) => ({ ...each, dns: true, dnsUpdates, zone: "house.example" }));
    names.do({ type: "settings.set", settings: { ...settings, lan: served } }, "controller");
    const keys = { publicKey: null, privateKeySecret: null, presharedKeySecret: null };
    names.device("tv", { subnet: null, interface: "lan0", address: "192.168.77.30", ...keys });
    return names;
  }
  const own = [add("tv2.house.example", "A", "192.168.77.30")];
  const sent = { zone: "house.example", interface: "lan0", signed: false } as const;

  it("[D2] an unsigned update is taken where that is configured, for the sender's own address alone", () => {
    expect(codeOf(lan("signed").update("tv", own, sent))).toBe("NOT_AUTHORIZED");
    const names = lan("own-address");
    expect(
      codeOf(names.update("tv", [{ kind: "delete-rrset", name: "tv2.house.example", type: "A" }, ...own], sent)),
    ).toBe("ok");
    expect([names.served("tv2.house.example"), names.views("tv2.house.example")]).toEqual([
      ["A 300 192.168.77.30"],
      ["lan:lan0"],
    ]);
    for (const each of [
      add("x.house.example", "A", "192.168.77.31"),
      add("x.house.example", "TXT", '"x"'),
      { kind: "delete-name", name: "tv2.house.example" } as const,
    ]) {
      expect(codeOf(names.update("tv", [each], sent))).toBe("NOT_AUTHORIZED");
      expect(codeOf(names.update("tv", [each], { ...sent, signed: true }))).toBe("ok");
    }
    // What it asks about others it is not told either, and no operator is asked on its account.
    const asking = { ...sent, prerequisites: [{ kind: "name-in-use", name: "tv2.house.example" } as const] };
    expect(codeOf(names.update("tv", own, asking))).toBe("NOT_AUTHORIZED");
    const elsewhere = [add("www.example.org", "TXT", '"x"')];
    expect(codeOf(names.update("tv", elsewhere, { ...sent, zone: "example.org" }))).toBe("NOT_AUTHORIZED");
    expect(codeOf(names.update("nas", own, { ...sent, interface: "wg0" }))).toBe("NOT_AUTHORIZED");
  });

  it("[D7] a device has its name and its reverse name there, and on no LAN without a resolver", () => {
    const names = lan("signed");
    expect(names.served("tv.house.example")).toEqual(["A 60 192.168.77.30"]);
    expect(names.served("30.77.168.192.in-addr.arpa")).toEqual(["PTR 60 tv.house.example"]);
    const { settings } = names.state;
    const silent = settings.lan.map((each) => ({ ...each, dns: false }));
    names.do({ type: "settings.set", settings: { ...settings, lan: silent } }, "controller");
    expect([names.served("tv.house.example"), names.served("30.77.168.192.in-addr.arpa")]).toEqual([[], []]);
    expect(codeOf(names.update("tv", own, { ...sent, signed: true }))).toBe("NOT_AUTHORIZED");
  });
});

describe("leases of records", () => {
  it("[P12] end after an unclean stop no earlier than any repetition promised, and what was ended is given its end back", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 3600 });
    const id = tableGet(names.state.names, PHOTOS)?.records[0]?.id ?? "";
    names.later(3000).update("nas", [add(PHOTOS, "A", "10.59.7.2")], { lease: 3600 });
    const promised = names.now + 3_600_000;
    expect(names.leases.recordDeadline(id)).toBe(promised);
    const restarted = new LeaseBook();
    restarted.restore({ ...names.state, run: { ...names.state.run, stopped: false } }, names.now);
    expect(restarted.recordDeadline(id)).toBeGreaterThanOrEqual(promised);
    expect(eventsOf(names.do({ type: "record.remove", id }, "api:root"))).toEqual([
      "records.renewed",
      "record.removed",
    ]);
    expect(names.leases.recordDeadline(id)).toBeNull();
  });
});

describe("names of devices", () => {
  it("[D7] each has its own, forward and reverse, where it is, and the name follows it", () => {
    const names = new Names();
    const { address } = names.find("nas");
    const reverse = `${address.split(".").toReversed().join(".")}.in-addr.arpa`;
    expect(names.served("nas.home.internal")).toEqual([`A 60 ${address}`]);
    expect(names.served(reverse)).toEqual(["PTR 60 nas.home.internal"]);
    names.edit("nas", { name: "store" });
    expect([names.served("nas.home.internal"), names.served(reverse)]).toEqual([[], ["PTR 60 store.home.internal"]]);
    names.do({ type: "subnet.edit", id: names.idOfSubnet("home"), zone: "example.net" });
    expect(names.served("store.example.net")).toEqual([`A 60 ${address}`]);
  });

  it("[D4] an explicit PTR wins, and an operator's host has one by its address (F30)", () => {
    const names = new Names();
    names.record("printer.home.internal", "A", "10.59.7.200");
    expect(names.served("200.7.59.10.in-addr.arpa")).toEqual(["PTR 60 printer.home.internal"]);
    expect(names.views("200.7.59.10.in-addr.arpa")).toBeNull();
    names.record("200.7.59.10.in-addr.arpa", "PTR", "other.example");
    expect(names.served("200.7.59.10.in-addr.arpa")).toEqual(["PTR 300 other.example"]);
    // Of an address that is no network's of ours nothing is said.
    names.record("far.home.internal", "A", "203.0.113.9");
    expect(names.served("9.113.0.203.in-addr.arpa")).toEqual([]);
  });

  it("[D4] the reverse name of an address follows the names of its owner and the operator's, and nobody else's", () => {
    const names = new Names();
    const flood = Array.from({ length: 80 }, (_, n) => add(`a${n}.home.internal`, "A", "10.59.7.200"));
    expect(codeOf(names.update("nas", [...flood, add("me.home.internal", "A", "10.59.7.1")]))).toBe("ok");
    expect([names.served("200.7.59.10.in-addr.arpa"), names.served("1.7.59.10.in-addr.arpa")]).toEqual([[], []]);
    names.record("*.home.internal", "A", "10.59.7.200");
    names.record("printer.home.internal", "A", "10.59.7.200");
    expect(names.served("200.7.59.10.in-addr.arpa")).toEqual(["PTR 60 printer.home.internal"]);
  });

  it("[D7] a row that another zone of its subnet changes is newer, and nobody else's doing", () => {
    const names = new Names();
    const reverse = `${names.find("nas").address.split(".").toReversed().join(".")}.in-addr.arpa`;
    const before = names.row(reverse);
    names.do({ type: "subnet.edit", id: names.idOfSubnet("home"), zone: "site.example" });
    expect(names.served(reverse)).toEqual(["PTR 60 nas.site.example"]);
    expect(names.row(reverse)?.revision).toBeGreaterThan(before?.revision ?? 0);
  });

  it("[D7] a device cannot take the name that another one has published", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]);
    expect(codeOf(names.device("photos"))).toBe("CONFLICT");
    expect(codeOf(names.edit("box", { name: "photos" }))).toBe("CONFLICT");
  });
});

describe("an operator's records", () => {
  it("[D3] are added, edited and removed, and their RRset has one TTL", () => {
    const names = new Names();
    names.record("www.home.internal", "A", "10.59.7.200", 60);
    names.record("www.home.internal", "A", "10.59.7.201", 120);
    expect(names.served("www.home.internal")).toEqual(["A 120 10.59.7.200", "A 120 10.59.7.201"]);
    const first = tableGet(names.state.names, "www.home.internal")?.records[0]?.id;
    expect(names.do({ type: "record.edit", id: first ?? "", ttl: 30, value: "10.59.7.202" }, "api:root").ok).toBe(true);
    expect(names.served("www.home.internal")).toEqual(["A 30 10.59.7.201", "A 30 10.59.7.202"]);
    names.do({ type: "record.remove", id: first ?? "" }, "api:root");
    expect(names.served("www.home.internal")).toEqual(["A 30 10.59.7.201"]);
  });

  it("[D3] contradict nothing that is there", () => {
    const names = new Names();
    names.update("nas", [add(PHOTOS, "A", "10.59.7.2")]);
    names.record("www.home.internal", "A", "10.59.7.200");
    expect(codeOf(names.record(PHOTOS, "A", "10.59.7.9"))).toBe("CONFLICT");
    expect(codeOf(names.record("www.home.internal", "A", "10.59.7.200"))).toBe("CONFLICT");
    expect(codeOf(names.record("www.home.internal", "CNAME", "a.example"))).toBe("CONFLICT");
    expect(codeOf(names.record("nas.home.internal", "CNAME", "a.example"))).toBe("CONFLICT");
    expect(codeOf(names.record("home.internal", "CNAME", "a.example"))).toBe("INVALID_REQUEST");
    expect(codeOf(names.record("x.home.internal", "SOA", "a b 1 1 1 1 1"))).toBe("INVALID_REQUEST");
    const seen = {
      type: "record.add",
      name: "y.home.internal",
      recordType: "A",
      value: "10.59.7.9",
      ttl: null,
    } as const;
    expect(codeOf(names.do({ ...seen, views: ["lan:lan9"] }))).toBe("INVALID_REQUEST");
    expect(codeOf(names.do({ ...seen, views: [names.idOfSubnet("home")] }))).toBe("ok");
    expect(codeOf(names.record("y.home.internal", "TXT", '"x"'))).toBe("ok");
    names.do({ type: "subnet.remove", id: names.idOfSubnet("home") });
    expect(names.served("y.home.internal"), "what only the subnet saw goes with it").toEqual([]);
    expect(names.served("www.home.internal")).toEqual(["A 300 10.59.7.200"]);
  });
});
