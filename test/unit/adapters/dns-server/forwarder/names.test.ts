import { describe, expect, it } from "vitest";
import { forwardingTo, upstreamThat } from "./forwarding.ts";
import { a, aaaa, answerTo, cname, query, soa, told } from "./messages.ts";

const reverse = (address: string): string => `${address.split(".").reverse().join(".")}.in-addr.arpa`;

describe("names that are never forwarded", () => {
  it.each([
    ["www.invalid", "A", 3],
    ["expyuzz4wqqyqhjn.onion", "A", 3],
    ["x.alt", "A", 3],
    ["printer.local", "A", 3],
    ["x.test", "A", 3],
    ["nas.home.arpa", "A", 3],
    ["x.internal", "AAAA", 3],
    ["internal", "A", 0],
    ["home.arpa", "TXT", 0],
    ["_dns.resolver.arpa", "SVCB", 0],
    ["resolver.arpa", "A", 0],
    ["nas", "A", 3],
    ["nas", "AAAA", 3],
  ])("[F20] %s %s", async (name, type, rcode) => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("x", "93.184.216.34")] }));
    const { ask, resolutions } = forwardingTo([upstream.text]);
    const reply = await ask(name, type === "SVCB" ? "UNKNOWN_64" : type);
    expect(reply).toMatchObject({ rcode, answers: [], authorities: [expect.stringMatching(/ 300 SOA /)] });
    expect(resolutions[0]?.kind).toBe("local");
    expect(upstream.queries).toEqual([]);
  });

  it("[F20] localhost is this host, whatever is asked below it", async () => {
    const { ask } = forwardingTo([]);
    expect((await ask("localhost")).answers).toEqual(["localhost 300 A 127.0.0.1"]);
    expect((await ask("x.LOCALHOST", "AAAA")).answers).toEqual(["x.LOCALHOST 300 AAAA ::1"]);
    expect(await ask("localhost", "TXT")).toMatchObject({ rcode: 0, answers: [] });
  });

  it.each([
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.0.1",
    "0.0.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "255.255.255.255",
  ])("[F21] the reverse of %s", async (address) => {
    const { ask } = forwardingTo([]);
    const isApex = address === "255.255.255.255";
    expect(await ask(reverse(address), "PTR")).toMatchObject({ rcode: isApex ? 0 : 3, answers: [] });
  });

  it.each([
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
    "1.0.8.e.f.ip6.arpa",
    "1.0.b.e.f.ip6.arpa",
    "1.8.b.d.0.1.0.0.2.ip6.arpa",
  ])("[F21] %s", async (name) => {
    const { ask } = forwardingTo([]);
    expect(await ask(name, "PTR")).toMatchObject({ rcode: 3 });
  });

  it("[F21] the empty zones have an SOA and an NS; a private one with an upstream of its own is asked for there", async () => {
    const inner = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [{ type: "PTR", name: reverse("10.1.2.3"), data: "nas.corp.example", ttl: 60 }] }),
    );
    const { ask } = forwardingTo([`[/10.in-addr.arpa/]${inner.text}`]);
    expect((await ask("168.192.in-addr.arpa", "SOA")).answers).toHaveLength(1);
    expect((await ask("168.192.in-addr.arpa", "NS")).answers).toEqual([
      "168.192.in-addr.arpa 300 NS 168.192.in-addr.arpa",
    ]);
    expect((await ask(reverse("10.1.2.3"), "PTR")).answers).toEqual([expect.stringContaining("nas.corp.example")]);
  });

  it.each([
    ["com", "NS"],
    ["com", "DNSKEY"],
    [".", "NS"],
    [reverse("93.184.216.34"), "PTR"],
    [reverse("172.32.0.1"), "PTR"],
    ["168.192.in-addr.arpa", "DS"],
    ["home.arpa", "DS"],
    ["local.example.com", "A"],
    ["xlocalhost.com", "A"],
  ])("%s %s is forwarded", async (name, type) => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { authorities: [soa("com")] }));
    const { ask } = forwardingTo([upstream.text]);
    await ask(name, type);
    expect(upstream.queries).toHaveLength(1);
  });
});

describe("queries that are not forwarded", () => {
  it("[F23] ANY by UDP has one small record; by TCP it is forwarded", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("www.example.com", "93.184.216.34")] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com", "ANY")).answers).toEqual([
      'www.example.com 300 HINFO {"cpu":"RFC8482","os":""}',
    ]);
    expect(upstream.queries).toEqual([]);
    expect((await ask("www.example.com", "ANY", { tcp: true })).answers).toEqual([
      "www.example.com 300 A 93.184.216.34",
    ]);
  });

  it("[F24] CHAOS and zone transfers are REFUSED, NOTIFY is NOTIMP", async () => {
    const { ask } = forwardingTo([]);
    expect(await ask("version.bind", "TXT", { class: "CH" })).toMatchObject({ rcode: 5 });
    expect(await ask("example.com", "AXFR", { tcp: true })).toMatchObject({ rcode: 5 });
    expect(await ask("example.com", "IXFR")).toMatchObject({ rcode: 5 });
    expect(await ask("example.com", "SOA", { flags: 4 << 11 })).toMatchObject({ rcode: 4 });
  });

  it("[F3] a version of EDNS that is not known is BADVERS, with ours", async () => {
    const { forwarder } = forwardingTo([]);
    const bytes = query("www.example.com", "A");
    bytes[bytes.length - 5] = 1;
    const reply = await forwarder.resolve(bytes, "v", { transport: "udp" });
    // The upper bits of 16 are in the OPT record, and the version there is 0.
    expect([(reply[3] ?? 0) & 0xf, ...reply.slice(-6, -4)]).toEqual([0, 1, 0]);
  });

  it("[F3][F5] two OPT records, two questions, none, or an OPT of a name are FORMERR; an answer is not answered", async () => {
    const { forwarder } = forwardingTo([]);
    const rcodeOf = async (bytes: Uint8Array): Promise<number> => {
      return ((await forwarder.resolve(bytes, "v", { transport: "udp" }))[3] ?? 0xff) & 0xf;
    };
    const plain = Buffer.from(query("www.example.com", "A"));
    const opt = plain.subarray(-11);
    const twice = Buffer.concat([plain, opt]);
    twice.writeUInt16BE(2, 10);
    expect(await rcodeOf(twice)).toBe(1);
    const named = Buffer.concat([plain.subarray(0, -11), Buffer.from([1, 0x78]), opt]);
    expect(await rcodeOf(named)).toBe(1);
    const questions = Buffer.from(query("www.example.com", "A", { edns: null }));
    questions.writeUInt16BE(2, 4);
    expect(await rcodeOf(questions)).toBe(1);
    questions.writeUInt16BE(0, 4);
    expect(await rcodeOf(questions)).toBe(1);
    const answer = Buffer.from(plain);
    answer[2] = 0x81;
    expect(await forwarder.resolve(answer, "v", { transport: "udp" })).toHaveLength(0);
    expect(await forwarder.resolve(new Uint8Array(11), "v", { transport: "udp" })).toHaveLength(0);
  });

  it("a view that is not known is REFUSED", async () => {
    const { ask } = forwardingTo([]);
    expect(await ask("www.example.com", "A", { view: "other" })).toMatchObject({ rcode: 5, errors: [{ code: 18 }] });
  });
});

describe("rebinding", () => {
  const PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "127.0.0.1",
    "169.254.1.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "11.22.33.44",
  ];
  const PRIVATE6 = [
    "::",
    "::1",
    "::ffff:93.184.216.34",
    "fd00::1",
    "fc12::1",
    "fe80::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b:1:7:8:9:10.0.0.1",
    "64:ff9b:1:c0a8:1:100::",
    "64:ff9b:1:c0a8:1:100:5db8:d822",
    "64:ff9b:1:ac:10:1::",
    "64:ff9b:1::a:0:100:0",
    "::93.184.216.34",
    "::ffff:0:93.184.216.34",
    "fec0::1",
    "2002:a00:1::1",
    "2002:c0a8:101::c0a8:101",
    "2002:b16:212c::1",
    "2001:db8:77::1",
  ];
  const PUBLIC6 = [
    "64:ff9b::93.184.216.34",
    "64:ff9b:1::93.184.216.34",
    "64:ff9b:1:5db8:d8:2200::",
    "2002:5db8:d822::1",
  ];
  const OWN = { prefixes: ["11.22.33.1/24", "2001:db8:77::1/48"] };

  it.each([
    ...PRIVATE.map((address) => a("www.example.com", address)),
    ...PRIVATE6.map((address) => aaaa("www.example.com", address)),
  ])("[F22] $type $data for a public name is withheld", async (record) => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [cname("evil.example.com", "www.example.com"), record] }),
    );
    const { ask, resolutions, logged } = forwardingTo([upstream.text], { setup: OWN });
    const type = (record as { type: string }).type;
    expect(await ask("evil.example.com", type)).toMatchObject({ rcode: 3, answers: [], errors: [{ code: 15 }] });
    expect(resolutions).toMatchObject([{ kind: "blocked" }]);
    expect(logged).toHaveLength(1);
    // Not asked for again for a while.
    await ask("evil.example.com", type);
    expect(upstream.queries).toHaveLength(1);
  });

  it.each(PUBLIC6)("[F22] %s leads to a public address", async (address) => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [aaaa("w.example.com", address)] }));
    const { ask } = forwardingTo([upstream.text], { setup: OWN });
    expect((await ask("w.example.com", "AAAA")).answers).toHaveLength(1);
  });

  it("[F22] a private address is one in whatever class: some clients do not look at it", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [{ ...a("w.example.com", "192.168.1.1"), class: "CH" } as never] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("w.example.com")).toMatchObject({ rcode: 3, answers: [] });
  });

  it("[F22] next to public ones a private address withholds all", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("e.example.com", "93.184.216.34"), a("e.example.com", "192.168.1.1")] }),
    );
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("e.example.com")).toMatchObject({ rcode: 3, answers: [] });
  });

  it.each([
    ["ipv4hint", "00010000040004c0a80101"],
    ["second ipv4hint", "000100000400085db8d822c0a80101"],
    ["ipv6hint", "00010000060010fd000000000000000000000000000001"],
    ["ipv6hint of 6to4", "000100000600102002c0a8010100000000000000000001"],
  ])("[F22] an %s in HTTPS is looked at", async (_, data) => {
    const upstream = await upstreamThat((bytes) => {
      const reply = Buffer.concat([
        answerTo(bytes, {}),
        Buffer.from("c00c00410001000000e10000", "hex"),
        Buffer.from(data, "hex"),
      ]);
      reply.writeUInt16BE(1, 6);
      reply.writeUInt16BE(data.length / 2, reply.length - data.length / 2 - 2);
      return reply;
    });
    const { forwarder } = forwardingTo([upstream.text]);
    const reply = await forwarder.resolve(query("www.example.com", "UNKNOWN_65"), "v", { transport: "udp" });
    expect(told(reply)).toMatchObject({ rcode: 3, answers: [], errors: [{ code: 15 }] });
    const { forwarder: allowing } = forwardingTo([upstream.text], { rebindingAllow: ["example.com"] });
    const whole = await allowing.resolve(query("www.example.com", "UNKNOWN_65"), "v", { transport: "udp" });
    expect(told(whole).answers).toHaveLength(1);
  });

  it("[F22] one upstream's lie is outvoted by another's answer", async () => {
    const liar = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("www.example.com", "192.168.1.1")] }));
    const good = await upstreamThat((bytes) => answerTo(bytes, { answers: [a("www.example.com", "93.184.216.34")] }));
    const { ask } = forwardingTo([liar.text, good.text]);
    expect((await ask("www.example.com")).answers).toEqual(["www.example.com 300 A 93.184.216.34"]);
  });

  it("[F22] exempt are the domains that are named so, and what has an upstream of its own", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a(told(answerTo(bytes, {})).question, "192.168.1.1")] }),
    );
    const { ask } = forwardingTo([upstream.text, `[/corp.example/]${upstream.text}`], {
      rebindingAllow: ["Plex.direct"],
    });
    expect((await ask("x.plex.direct")).rcode).toBe(0);
    expect((await ask("plex.direct")).rcode).toBe(0);
    expect((await ask("www.corp.example")).rcode).toBe(0);
    expect((await ask("xplex.direct")).rcode).toBe(3);
  });

  it("[F22] once a network is ours, what was kept of it is forgotten", async () => {
    const upstream = await upstreamThat((bytes) =>
      answerTo(bytes, { answers: [a("www.example.com", "93.184.216.34")] }),
    );
    const { ask, forwarder } = forwardingTo([upstream.text]);
    expect((await ask("www.example.com")).rcode).toBe(0);
    const views = [{ id: "v", upstreams: { mode: "custom", servers: [upstream.text] } }] as const;
    forwarder.configure({ views, listeners: [], prefixes: ["93.184.216.1/24"] });
    expect((await ask("www.example.com")).rcode).toBe(3);
  });
});
