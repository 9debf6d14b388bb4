import { describe, expect, it } from "vitest";
import { transferOf } from "../../../../src/adapters/dns-server/thread/zones/authority.ts";
import { ZoneData } from "../../../../src/adapters/dns-server/thread/zones/zone-data.ts";
import { RCODE } from "../../../../src/protocols/dns/constants.ts";
import { ask, HERE, lines, name, publish, zoneData } from "./zone.ts";

const home = (): ZoneData =>
  zoneData(["home.arpa", "0.59.10.in-addr.arpa"], {
    "nas.home.arpa": ["A 10.59.0.2", "AAAA fd00::2"],
    "www.home.arpa": ["CNAME NAS.home.arpa"],
    "out.home.arpa": ["CNAME www.example.com"],
    "a.b.c.home.arpa": ["TXT deep"],
    "*.apps.home.arpa": ["A 10.59.0.9"],
    "x.apps.home.arpa": ["TXT here"],
    "loop.home.arpa": ["CNAME pool.home.arpa"],
    "pool.home.arpa": ["CNAME loop.home.arpa"],
    "gone.home.arpa": ["CNAME nothing.home.arpa"],
    "2.0.59.10.in-addr.arpa": ["PTR nas.home.arpa"],
    "photos.example.com": ["A 10.59.0.2"],
    "*.wild.example.com": ["A 10.59.0.3"],
  });

describe("what is in a zone", () => {
  it("is answered with all records of its type, and nothing else (F26)", () => {
    expect(lines(ask(home(), "nas.home.arpa", "A")?.answers ?? [])).toEqual(["nas.home.arpa A 10.59.0.2"]);
    expect(ask(home(), "nas.home.arpa", "A")).toMatchObject({ rcode: RCODE.NOERROR, authorities: [], outside: null });
  });

  it.each([
    ["a name that is there without the type", "nas.home.arpa", "TXT", RCODE.NOERROR],
    ["an empty non-terminal", "b.c.home.arpa", "A", RCODE.NOERROR],
    ["a name that is not there", "none.home.arpa", "A", RCODE.NXDOMAIN],
    ["a name below one that is there", "x.nas.home.arpa", "A", RCODE.NXDOMAIN],
    ["a type at an existing name that a wildcard would have", "x.apps.home.arpa", "A", RCODE.NOERROR],
    ["the wildcard's own parent", "apps.home.arpa", "A", RCODE.NOERROR],
    ["what is below a name that a wildcard stops at", "y.x.apps.home.arpa", "A", RCODE.NXDOMAIN],
    ["what is below the wildcard itself (RFC 4592 2.2.1)", "ghost.*.apps.home.arpa", "A", RCODE.NXDOMAIN],
  ] as const)("says no, with the SOA, for %s (F26, F28)", (_what, owner, type, rcode) => {
    const answered = ask(home(), owner, type);
    expect(answered).toMatchObject({ rcode, answers: [], outside: null });
    expect(lines(answered?.authorities ?? [])).toEqual(["home.arpa SOA"]);
  });

  it("has SOA and NS in the answer at its apex, and only there (F28)", () => {
    expect(lines(ask(home(), "home.arpa", "SOA")?.answers ?? [])).toEqual(["home.arpa SOA"]);
    expect(lines(ask(home(), "home.arpa", "NS")?.answers ?? [])).toEqual(["home.arpa NS ns.home.arpa"]);
    expect(ask(home(), "nas.home.arpa", "SOA")).toMatchObject({ rcode: RCODE.NOERROR, answers: [] });
    expect(ask(home(), "_acme-challenge.nas.home.arpa", "SOA")).toMatchObject({ rcode: RCODE.NXDOMAIN, answers: [] });
  });

  it("has a name server that is whoever answers, unless somebody published that name", () => {
    expect(lines(ask(home(), "ns.home.arpa", "A")?.answers ?? [])).toEqual(["ns.home.arpa A 10.59.0.1"]);
    expect(lines(ask(home(), "ns.home.arpa", "AAAA")?.answers ?? [])).toEqual(["ns.home.arpa AAAA fd00::1"]);
    expect(ask(home(), "ns.home.arpa", "TXT")).toMatchObject({ rcode: RCODE.NOERROR, answers: [] });
    const data = home();
    publish(data, "ns.home.arpa", ["A 10.59.0.77"]);
    expect(lines(ask(data, "ns.home.arpa", "A")?.answers ?? [])).toEqual(["ns.home.arpa A 10.59.0.77"]);
  });

  it("is synthesised from the closest wildcard, under the name that was asked for (RFC 4592)", () => {
    expect(lines(ask(home(), "y.apps.home.arpa", "A")?.answers ?? [])).toEqual(["y.apps.home.arpa A 10.59.0.9"]);
    expect(lines(ask(home(), "z.y.apps.home.arpa", "A")?.answers ?? [])).toEqual(["z.y.apps.home.arpa A 10.59.0.9"]);
    expect(ask(home(), "y.apps.home.arpa", "TXT")).toMatchObject({ rcode: RCODE.NOERROR, answers: [] });
  });

  it("is given in one set to ANY, not in all (F23, RFC 8482)", () => {
    expect(lines(ask(home(), "nas.home.arpa", "ANY")?.answers ?? [])).toEqual(["nas.home.arpa A 10.59.0.2"]);
    expect(lines(ask(home(), "home.arpa", "ANY")?.answers ?? [])).toEqual(["home.arpa SOA"]);
  });

  it("answers for an address by its reverse name (F30)", () => {
    expect(lines(ask(home(), "2.0.59.10.in-addr.arpa", "PTR")?.answers ?? [])).toEqual([
      "2.0.59.10.in-addr.arpa PTR nas.home.arpa",
    ]);
    expect(ask(home(), "3.0.59.10.in-addr.arpa", "PTR")).toMatchObject({ rcode: RCODE.NXDOMAIN });
    expect(lines(ask(home(), "0.59.10.in-addr.arpa", "SOA")?.answers ?? [])).toEqual(["0.59.10.in-addr.arpa SOA"]);
  });
});

describe("an alias (F27)", () => {
  it("is followed inside what is ours, and not if itself was asked for", () => {
    expect(lines(ask(home(), "www.home.arpa", "A")?.answers ?? [])).toEqual([
      "www.home.arpa CNAME NAS.home.arpa",
      "NAS.home.arpa A 10.59.0.2".replace("NAS", "nas"),
    ]);
    expect(lines(ask(home(), "www.home.arpa", "CNAME")?.answers ?? [])).toEqual(["www.home.arpa CNAME NAS.home.arpa"]);
    expect(lines(ask(home(), "www.home.arpa", "ANY")?.answers ?? [])).toEqual(["www.home.arpa CNAME NAS.home.arpa"]);
  });

  it("that leads out says where to", () => {
    const answered = ask(home(), "out.home.arpa", "A");
    expect(answered).toMatchObject({ rcode: RCODE.NOERROR, outside: name("www.example.com") });
    expect(lines(answered?.answers ?? [])).toEqual(["out.home.arpa CNAME www.example.com"]);
  });

  it("has the rcode of the last name (RFC 6604), and ends with that zone's SOA", () => {
    const answered = ask(home(), "gone.home.arpa", "A");
    expect(answered?.rcode).toBe(RCODE.NXDOMAIN);
    expect(lines(answered?.answers ?? [])).toEqual(["gone.home.arpa CNAME nothing.home.arpa"]);
    expect(lines(answered?.authorities ?? [])).toEqual(["home.arpa SOA"]);
    expect(ask(home(), "www.home.arpa", "TXT")).toMatchObject({ rcode: RCODE.NOERROR });
  });

  it("that turns in a circle is answered with what there is of it", () => {
    expect(lines(ask(home(), "loop.home.arpa", "A")?.answers ?? [])).toEqual([
      "loop.home.arpa CNAME pool.home.arpa",
      "pool.home.arpa CNAME loop.home.arpa",
    ]);
  });

  it("is not followed for ever", () => {
    const data = zoneData(["z"], {});
    for (let at = 0; at < 40; at += 1) publish(data, `a${at}.z`, [`CNAME a${at + 1}.z`]);
    expect(ask(data, "a0.z", "A")?.answers).toHaveLength(9);
  });
});

describe("a name outside of every zone", () => {
  it("is a zone of its own when it is published, and of nothing below it", () => {
    expect(lines(ask(home(), "photos.example.com", "A")?.answers ?? [])).toEqual(["photos.example.com A 10.59.0.2"]);
    expect(lines(ask(home(), "photos.example.com", "SOA")?.answers ?? [])).toEqual(["photos.example.com SOA"]);
    expect(lines(ask(home(), "photos.example.com", "TXT")?.authorities ?? [])).toEqual(["photos.example.com SOA"]);
    expect(lines(ask(home(), "ns.photos.example.com", "A")?.answers ?? [])).toEqual([
      "ns.photos.example.com A 10.59.0.1",
    ]);
    for (const other of ["example.com", "x.photos.example.com", "www.example.com", "com", "."]) {
      expect(ask(home(), other, "A"), other).toBeNull();
    }
  });

  it("is each of those a published wildcard stands for", () => {
    expect(lines(ask(home(), "a.wild.example.com", "A")?.answers ?? [])).toEqual(["a.wild.example.com A 10.59.0.3"]);
    expect(lines(ask(home(), "a.wild.example.com", "TXT")?.authorities ?? [])).toEqual(["a.wild.example.com SOA"]);
    expect(lines(ask(home(), "a.wild.example.com", "SOA")?.answers ?? [])).toEqual(["a.wild.example.com SOA"]);
    expect(ask(home(), "wild.example.com", "A")).toBeNull();
  });
});

describe("a zone inside another", () => {
  it("is there with all names above it, even if nothing is in it, as far as it is seen (RFC 4592 §2.2.2)", () => {
    const data = zoneData(["home.arpa"], { "*.home.arpa": ["A 10.59.0.9"] });
    data.setZone(name("lab.site.home.arpa").key, ["lab"]);
    expect(ask(data, "site.home.arpa", "A", "lab")).toMatchObject({ rcode: RCODE.NOERROR, answers: [] });
    expect(lines(ask(data, "site.home.arpa", "A")?.answers ?? [])).toEqual(["site.home.arpa A 10.59.0.9"]);
    data.setZone(name("lab.site.home.arpa").key, null);
    expect(ask(data, "site.home.arpa", "A")).toMatchObject({ rcode: RCODE.NOERROR, answers: [] });
    data.removeZone(name("lab.site.home.arpa").key);
    data.removeZone(name("lab.site.home.arpa").key);
    expect(lines(ask(data, "site.home.arpa", "A", "lab")?.answers ?? [])).toEqual(["site.home.arpa A 10.59.0.9"]);
  });
});

describe("a view", () => {
  it("sees its own names and zones, and nothing of another's, not even that they are there", () => {
    const data = zoneData(["home.arpa"], {});
    data.setZone(name("lab.internal").key, ["lab"]);
    publish(data, "box.home.arpa", ["A 10.1.0.2"], ["lab"]);
    publish(data, "deep.ent.home.arpa", ["A 10.1.0.3"], ["lab"]);
    publish(data, "cam.example.com", ["A 10.1.0.4"], ["lab"]);
    expect(lines(ask(data, "box.home.arpa", "A", "lab")?.answers ?? [])).toEqual(["box.home.arpa A 10.1.0.2"]);
    expect(ask(data, "box.home.arpa", "A")).toMatchObject({ rcode: RCODE.NXDOMAIN });
    expect(ask(data, "ent.home.arpa", "A", "lab")).toMatchObject({ rcode: RCODE.NOERROR });
    expect(ask(data, "ent.home.arpa", "A")).toMatchObject({ rcode: RCODE.NXDOMAIN });
    expect(ask(data, "cam.example.com", "A", "lab")).not.toBeNull();
    expect(ask(data, "cam.example.com", "A")).toBeNull();
    expect(ask(data, "lab.internal", "SOA")).toBeNull();
    expect(ask(data, "lab.internal", "SOA", "lab")).not.toBeNull();
  });
});

describe("a transfer", () => {
  it("has the SOA first and last, all of the zone between, and nothing of a zone inside it", () => {
    const data = zoneData(["z", "sub.z"], {
      "a.z": ["A 10.0.0.1", "TXT t"],
      "b.sub.z": ["A 10.0.0.2"],
      "o.y": ["A 10.0.0.3"],
    });
    expect(lines(transferOf(data, HERE, name("z")) ?? [])).toEqual([
      "z SOA",
      "z NS ns.z",
      "ns.z A 10.59.0.1",
      "ns.z AAAA fd00::1",
      "a.z A 10.0.0.1",
      "a.z TXT t",
      "z SOA",
    ]);
    expect(lines(transferOf(data, HERE, name("o.y")) ?? [])).toContain("o.y A 10.0.0.3");
    for (const other of ["a.z", "y", "x.o.y"]) expect(transferOf(data, HERE, name(other)), other).toBeNull();
  });
});

describe("the serial", () => {
  it("is that of the last change, never 0, in 32 bits", () => {
    const data = zoneData(["z"], {});
    const serials = [7, 0xfffffffe, 0xffffffff, 0x100000000].map((seq) => {
      data.setSerial(seq);
      const soa = ask(data, "z", "SOA")?.answers[0]?.data;
      return soa?.kind === "SOA" ? soa.serial : null;
    });
    expect(serials).toEqual([7, 0xfffffffe, 0xffffffff, 1]);
  });
});
