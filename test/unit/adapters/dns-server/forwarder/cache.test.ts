import { describe, expect, it } from "vitest";
import { forwardingTo, upstreamThat } from "./forwarding.ts";
import { a, AA, AD, aaaa, answerTo, CD, cname, query, soa, told } from "./messages.ts";

const WWW = a("www.example.com", "93.184.216.34");

describe("answers that are kept", () => {
  it("[F14] have their TTLs less their age, each client's ID and spelling, and end with the least of them", async () => {
    const upstream = await upstreamThat((bytes) => {
      return answerTo(bytes, {
        answers: [cname("www.example.com", "edge.example.net", 300), a("edge.example.net", "93.184.216.34", 60)],
      });
    });
    const { ask, clock, resolutions } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com", "A", { id: 1 })).toMatchObject({
      id: 1,
      rcode: 0,
      answers: ["www.example.com 300 CNAME edge.example.net", "edge.example.net 60 A 93.184.216.34"],
    });
    clock.advance(10_900);
    expect(await ask("WWW.Example.COM", "A", { id: 2 })).toMatchObject({
      id: 2,
      question: "WWW.Example.COM",
      answers: [expect.stringMatching(/ 290 CNAME /), expect.stringMatching(/ 50 A /)],
    });
    expect(resolutions.map(({ kind }) => kind)).toEqual(["forwarded", "cached"]);
    clock.advance(49_100);
    await ask("www.example.com");
    expect(upstream.queries).toHaveLength(2);
  });

  it("are given to who may not wait; for the rest nobody is asked", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    const { ask, forwarder, resolutions } = forwardingTo([upstream.text]);
    await ask("www.example.com");
    const onResolved = (made: (typeof resolutions)[number]): void => void resolutions.push(made);
    const atOnce = (name: string) =>
      forwarder.resolve(query(name, "A"), "v", { transport: "udp", mayWait: false, onResolved });
    expect(told(atOnce("www.example.com") as Uint8Array)).toMatchObject({ rcode: 0, answers: [expect.anything()] });
    expect(told(atOnce("other.example.com") as Uint8Array)).toMatchObject({ rcode: 2, answers: [] });
    expect(resolutions.map(({ kind }) => kind)).toEqual(["forwarded", "cached", "limited"]);
    expect(upstream.queries).toHaveLength(1);
  });

  it("[F14] with a TTL of zero, or with the top bit set, are for those who wait and not kept; a day is the most", async () => {
    let ttl = 0;
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("t.example.com", "93.184.216.34", ttl)] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect((await ask("t.example.com")).answers).toEqual(["t.example.com 0 A 93.184.216.34"]);
    ttl = 0x8000_0001;
    expect((await ask("t.example.com")).answers).toEqual(["t.example.com 0 A 93.184.216.34"]);
    expect(upstream.queries).toHaveLength(2);
    ttl = 1_000_000;
    await ask("t.example.com");
    expect((await ask("t.example.com")).answers).toEqual(["t.example.com 86400 A 93.184.216.34"]);
    expect(upstream.queries).toHaveLength(3);
  });

  it("[F15] NXDOMAIN is kept for every type of the name, for the lesser of the SOA's TTL and its minimum", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { rcode: 3, authorities: [soa("example.com", 600, 60)] }),
    );
    const { ask, clock } = forwardingTo([upstream.text]);
    expect(await ask("none.example.com")).toMatchObject({
      rcode: 3,
      authorities: [expect.stringMatching(/^example\.com 60 SOA /)],
    });
    clock.advance(20_000);
    const other = await ask("None.example.com", "AAAA");
    expect(other).toMatchObject({ rcode: 3, authorities: [expect.stringMatching(/^example\.com 40 SOA /)] });
    expect(upstream.queries).toHaveLength(1);
    clock.advance(40_000);
    await ask("none.example.com", "AAAA");
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F15] no data is kept for the type alone; without an SOA nothing is kept", async () => {
    const upstream = await upstreamThat((bytes) => {
      const hasSoa = !bytes.toString("latin1").toLowerCase().includes("bare");
      return answerTo(bytes, { authorities: hasSoa ? [soa("example.com")] : [] });
    });
    const { ask } = forwardingTo([upstream.text]);
    await ask("some.example.com", "AAAA");
    await ask("some.example.com", "AAAA");
    expect(upstream.queries).toHaveLength(1);
    await ask("some.example.com", "TXT");
    expect(upstream.queries).toHaveLength(2);
    await ask("bare.example.com");
    await ask("bare.example.com");
    expect(upstream.queries).toHaveLength(4);
  });

  it("[F15] NXDOMAIN at the end of an alias is of the last name: another type of the first is asked for", async () => {
    const upstream = await upstreamThat((bytes) => {
      return answerTo(bytes, {
        rcode: 3,
        answers: [cname("www.example.com", "gone.example.com")],
        authorities: [soa("example.com")],
      });
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject({
      rcode: 3,
      answers: [expect.stringContaining("CNAME gone.example.com")],
    });
    await ask("www.example.com");
    expect(upstream.queries).toHaveLength(1);
    await ask("www.example.com", "TXT");
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F12] an SOA of somebody else's zone keeps nothing", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { rcode: 3, authorities: [soa("example.net")] }));
    const { ask } = forwardingTo([upstream.text]);
    await ask("none.example.com");
    await ask("none.example.com");
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F12] records beside the chain of the question reach nobody, nor do authority and additional records", async () => {
    const bank = a("bank.example.net", "203.0.113.66");
    const upstream = await upstreamThat((bytes) => {
      return answerTo(bytes, { answers: [WWW], authorities: [soa("example.com")], additionals: [bank] });
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject({
      answers: ["www.example.com 300 A 93.184.216.34"],
      authorities: [],
    });
    await ask("bank.example.net");
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F12] strangers among the answers are left out, and aliases come before what they lead to", async () => {
    const upstream = await upstreamThat((bytes) => {
      const answers = [
        a("edge.example.net", "93.184.216.34"),
        a("bank.example.net", "203.0.113.66"),
        cname("cdn.example.org", "edge.example.net"),
        cname("bank.example.com", "edge.example.net"),
        cname("www.example.com", "cdn.example.org"),
      ];
      return answerTo(bytes, { answers, additionals: [a("bank.example.net", "203.0.113.66")] });
    });
    const { ask } = forwardingTo([upstream.text]);
    const answers = [
      "www.example.com 300 CNAME cdn.example.org",
      "cdn.example.org 300 CNAME edge.example.net",
      "edge.example.net 300 A 93.184.216.34",
    ];
    expect(await ask("www.example.com")).toMatchObject({ rcode: 0, answers });
    expect(await ask("www.example.com")).toMatchObject({ rcode: 0, answers });
    expect(upstream.queries).toHaveLength(1);
  });

  it("[F12] only strangers are no data, and are not kept", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("bank.example.net", "203.0.113.66")] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject({ rcode: 0, answers: [] });
    await ask("www.example.com");
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F12] a DNAME is of a name above, and stays; aliases in a circle come to an end, and too many are a failure", async () => {
    let answers = [
      { type: "DNAME", name: "example.com", data: "example.net", ttl: 300 } as never,
      cname("www.example.com", "www.example.net"),
      a("www.example.net", "93.184.216.34"),
    ];
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers }));
    const { ask, passing } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com")).answers).toHaveLength(3);
    answers = [cname("a.example.com", "b.example.com"), cname("b.example.com", "a.example.com")];
    expect((await ask("a.example.com")).answers).toHaveLength(2);
    answers = Array.from({ length: 20 }, (_, index) => cname(`n${index}.example.com`, `n${index + 1}.example.com`));
    expect(await passing(ask("n0.example.com"))).toMatchObject({ rcode: 2, answers: [] });
  });

  it("[F12] what a domain's own upstream said answers nobody who asks others", async () => {
    const inner = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("www.corp.example", "10.1.1.1")] }));
    const outer = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("www.corp.example", "93.184.216.34")] }));
    const views = [
      { id: "v", upstreams: { mode: "custom", servers: [outer.text, `[/corp.example/]${inner.text}`] } },
      { id: "w", upstreams: { mode: "custom", servers: [outer.text] } },
    ] as const;
    const { ask } = forwardingTo([], { setup: { views } });
    expect((await ask("www.corp.example")).answers).toEqual(["www.corp.example 300 A 10.1.1.1"]);
    expect((await ask("www.corp.example", "A", { view: "w" })).answers).toEqual([
      "www.corp.example 300 A 93.184.216.34",
    ]);
    await ask("xcorp.example");
    expect([inner.queries.length, outer.queries.length]).toEqual([1, 2]);
  });

  it("[F6] DO and CD are asked for and kept apart; AD by a path that anybody can write on is cleared", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW], flags: AD | AA }));
    const { ask } = forwardingTo([upstream.text]);
    const plain = await ask("www.example.com", "A", { flags: 0x0100 | AD });
    expect(plain.flags & (AD | AA | CD)).toBe(0);
    const withDo = await ask("www.example.com", "A", { dnssecOk: true });
    expect(withDo.flags & AD).toBe(0);
    const withCd = await ask("www.example.com", "A", { flags: 0x0100 | CD });
    expect(withCd.flags & CD).toBe(CD);
    await ask("www.example.com");
    expect(
      upstream.queries.map(({ bytes }) => [bytes.readUInt16BE(2) & (CD | AD), bytes.readUInt16BE(bytes.length - 4)]),
    ).toEqual([
      [0, 0],
      [0, 0x8000],
      [CD, 0],
    ]);
  });

  it("[F6] with DO the authority section stays", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [WWW], authorities: [soa("example.com")] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com", "A", { dnssecOk: true })).authorities).toHaveLength(1);
  });

  it("[F18] what is asked for in the last tenth of its time is fetched anew, once, and nobody waits", async () => {
    let octet = 0;
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("www.example.com", `93.184.216.${(octet += 1)}`, 100)] }),
    );
    const { ask, clock } = forwardingTo([upstream.text]);
    await ask("www.example.com");
    clock.advance(89_000);
    await ask("www.example.com");
    expect(upstream.queries).toHaveLength(1);
    clock.advance(2000);
    expect((await ask("www.example.com")).answers).toEqual(["www.example.com 9 A 93.184.216.1"]);
    await ask("www.example.com");
    await upstream.asked(2);
    await expect
      .poll(async () => (await ask("www.example.com")).answers)
      .toEqual(["www.example.com 100 A 93.184.216.2"]);
    expect(upstream.queries).toHaveLength(2);
  });

  it("[F18] are bounded in octets and entries; what is asked for stays", async () => {
    const upstream = await upstreamThat((bytes) => {
      const name = told(answerTo(bytes, {})).question;
      return answerTo(bytes, { answers: [a(name, "93.184.216.34")] });
    });
    const { ask, forwarder } = forwardingTo([upstream.text], { cache: { octetsMax: 5000, entriesMax: 1000 } });
    await ask("kept.example.com");
    for (let index = 0; index < 50; index += 1) {
      await ask(`name${index}.example.com`);
      await ask("kept.example.com");
      expect(forwarder.status.cache.octets).toBeLessThanOrEqual(5000);
    }
    expect(forwarder.status.cache.entries).toBeGreaterThan(5);
    expect(upstream.queries).toHaveLength(51);
  });

  it("[F18] no more entries than said", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a(told(answerTo(bytes, {})).question, "93.184.216.34")] }),
    );
    const { ask, forwarder } = forwardingTo([upstream.text], { cache: { octetsMax: 1_000_000, entriesMax: 4 } });
    for (let index = 0; index < 8; index += 1) await ask(`name${index}.example.com`);
    expect(forwarder.status.cache.entries).toBe(4);
  });
});

describe("answers that are late", () => {
  it("[F17] are given when upstreams say nothing for 1.8 s, for 30 s each, and say so", async () => {
    let alive = true;
    const upstream = await upstreamThat((bytes) => (alive ? answerTo(bytes, { answers: [WWW] }) : null));
    const { ask, clock, passing, resolutions, forwarder } = forwardingTo([upstream.text]);
    await ask("www.example.com");
    alive = false;
    clock.advance(301_000);
    const asked = clock.now();
    const stale = await passing(ask("www.example.com"));
    expect(clock.now() - asked).toBeGreaterThanOrEqual(1800);
    expect(clock.now() - asked).toBeLessThan(2500);
    expect(stale).toMatchObject({ rcode: 0, answers: ["www.example.com 30 A 93.184.216.34"], errors: [{ code: 3 }] });
    // Not tried again at once.
    const sent = upstream.queries.length;
    const again = clock.now();
    expect((await ask("www.example.com")).errors).toEqual([expect.objectContaining({ code: 3 })]);
    expect(clock.now()).toBe(again);
    expect(resolutions.at(-1)).toMatchObject({ kind: "cached", stale: true });
    clock.advance(5000);
    await expect.poll(() => forwarder.status.underWay).toBe(0);
    clock.advance(26_000);
    alive = true;
    expect(await ask("www.example.com")).toMatchObject({
      answers: ["www.example.com 300 A 93.184.216.34"],
      errors: [],
    });
    expect(upstream.queries.length).toBeGreaterThan(sent);
  });

  it("[F17] are given at once when upstreams only fail, and not after a day", async () => {
    let rcode = 0;
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { rcode, answers: rcode === 0 ? [WWW] : [] }));
    const { ask, clock } = forwardingTo([upstream.text]);
    await ask("www.example.com");
    rcode = 2;
    clock.advance(301_000);
    expect(await ask("www.example.com")).toMatchObject({ rcode: 0, errors: [{ code: 3 }] });
    clock.advance(86_400_000);
    expect(await ask("www.example.com")).toMatchObject({ rcode: 2, answers: [] });
  });

  it("[F17] a late NXDOMAIN says that it is one", async () => {
    let rcode = 3;
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { rcode, authorities: [soa("example.com")] }));
    const { ask, clock } = forwardingTo([upstream.text]);
    await ask("none.example.com");
    rcode = 5;
    clock.advance(61_000);
    expect(await ask("none.example.com", "AAAA")).toMatchObject({ rcode: 3, errors: [{ code: 19 }] });
  });
});

describe("replies", () => {
  it("[F3] have an OPT record exactly if the query had", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [WWW] }));
    const { ask } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com")).edns).toBe(true);
    expect((await ask("www.example.com", "A", { edns: null })).edns).toBe(false);
  });

  it("[F13] are cut to what the client takes, 1232 at the most, with TC; by TCP they are whole", async () => {
    const many = Array.from({ length: 60 }, (_, index) => a("www.example.com", `93.184.216.${index}`));
    const upstream = await upstreamThat((bytes, { transport }) => {
      return transport === "udp" ? answerTo(bytes, { flags: 0x0200 }) : answerTo(bytes, { answers: many });
    });
    const { ask, forwarder } = forwardingTo([upstream.text]);
    for (const edns of [null, 100, 512, 1232, 4096]) {
      const reply = await forwarder.resolve(query("www.example.com", "A", { edns }), "v", { transport: "udp" });
      expect(told(reply)).toMatchObject({ answers: [], rcode: 0 });
      expect(told(reply).flags & 0x0200).toBe(0x0200);
      expect(reply.length).toBeLessThan(64);
    }
    const whole = await ask("www.example.com", "A", { tcp: true });
    expect(whole.answers).toHaveLength(60);
    expect(whole.flags & 0x0200).toBe(0);
    // One datagram, one message by TCP; the rest was kept.
    expect(upstream.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  it("[F1] an unknown type is forwarded with its octets", async () => {
    const upstream = await upstreamThat((bytes) => {
      const record = Buffer.from("c00cff00000100000e100004deadbeef", "hex");
      const reply = Buffer.concat([answerTo(bytes, {}), record]);
      reply.writeUInt16BE(1, 6);
      return reply;
    });
    const { forwarder } = forwardingTo([upstream.text]);
    const asked = query("x.example.com", "UNKNOWN_65280", { edns: null });
    const reply = Buffer.from(await forwarder.resolve(asked, "v", { transport: "udp" }));
    expect(reply.toString("hex").endsWith("c00cff00000100000e100004deadbeef")).toBe(true);
  });

  it("[F2] AAAA and A of one name do not answer each other", async () => {
    const upstream = await upstreamThat((bytes) => {
      const wantsA = bytes.readUInt16BE(bytes.length - 11 - 4) === 1;
      return answerTo(bytes, { answers: [wantsA ? WWW : aaaa("www.example.com", "2606:2800::1")] });
    });
    const { ask } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com", "A")).answers[0]).toContain("93.184.216.34");
    expect((await ask("www.example.com", "AAAA")).answers[0]).toContain("2606:2800::1");
  });
});
