import { describe, expect, it } from "vitest";
import { CLASS, OPCODE, RCODE, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import type { DnsRecord } from "../../../../src/protocols/dns/message.ts";
import { edns, message, query, Rig } from "./rig.ts";
import { lines, name, publish, record, zoneData } from "./zone.ts";

const rig = (): Rig =>
  new Rig(
    zoneData(["home.arpa"], {
      "nas.home.arpa": ["A 10.59.0.2"],
      "out.home.arpa": ["CNAME www.example.com"],
      "big.home.arpa": Array.from({ length: 60 }, (_, index) => `A 10.60.0.${index}`),
    }),
  );

describe("what is no question", () => {
  it("is not answered: less than a header, and any answer (W1, W2)", async () => {
    expect(await rig().raw(new Uint8Array(11))).toBeNull();
    expect(await rig().raw(query("nas.home.arpa", "A", { response: true }))).toBeNull();
  });

  it.each([OPCODE.STATUS, OPCODE.NOTIFY, 7])("of opcode %d is NOTIMP (W3)", async (opcode) => {
    const answer = await rig().ask(query("nas.home.arpa", "A", { opcode }));
    expect(answer?.message).toMatchObject({ rcode: RCODE.NOTIMP, opcode, response: true });
  });

  it("is FORMERR with no or two questions, with octets left over, and if it ends early (W4, W7, W10)", async () => {
    const question = { name: name("nas.home.arpa"), type: TYPE.A, class: CLASS.IN };
    const asked = query("nas.home.arpa");
    const all = [
      encodeMessage(message({})),
      encodeMessage(message({ questions: [question, question] })),
      Uint8Array.from([...asked, 0]),
      asked.subarray(0, asked.length - 1),
    ];
    for (const bytes of all)
      expect((await rig().ask(bytes))?.message).toMatchObject({ rcode: RCODE.FORMERR, id: 0x1234 });
  });

  it("is not called malformed twice within two seconds, for it may be a server that says the same of us (F37)", async () => {
    const server = rig();
    const bad = query("nas.home.arpa").subarray(0, 20);
    expect(await server.raw(bad)).not.toBeNull();
    server.monotonic = 1000;
    expect(await server.raw(bad)).toBeNull();
    expect(await server.raw(bad, { address: "10.59.0.3" })).not.toBeNull();
    expect(await server.raw(bad, { transport: "tcp" })).not.toBeNull();
    server.monotonic = 6000;
    expect(await server.raw(bad)).not.toBeNull();
  });
});

describe("a query", () => {
  it("of ours has AA, RA and its RD; from elsewhere it is the forwarder's", async () => {
    const server = rig();
    const ours = await server.ask(query("NAS.home.arpa", "A", { recursionDesired: false }));
    expect(ours?.message).toMatchObject({ authoritative: true, recursionAvailable: true, recursionDesired: false });
    expect(lines(ours?.message.answers ?? [])).toEqual(["nas.home.arpa A 10.59.0.2"]);
    expect(ours?.message.questions[0]?.name.wire).toBe(name("NAS.home.arpa").wire);
    expect(server.forwarded).toHaveLength(0);
    const bytes = query("www.example.com");
    expect((await server.ask(bytes))?.message.rcode).toBe(RCODE.NXDOMAIN);
    expect(server.forwarded).toEqual([bytes]);
  });

  it("asked again is answered the same, with the new ID, until what it is about changes", async () => {
    const zones = zoneData(["home.arpa"], { "nas.home.arpa": ["A 10.59.0.2"] });
    const server = new Rig(zones);
    for (const id of [1, 2, 3]) {
      const answer = await server.ask(query("nas.home.arpa", "A", { id }));
      expect(answer?.message.id).toBe(id);
      expect(lines(answer?.message.answers ?? [])).toEqual(["nas.home.arpa A 10.59.0.2"]);
    }
    publish(zones, "nas.home.arpa", ["A 10.59.0.7"]);
    expect(lines((await server.ask(query("nas.home.arpa")))?.message.answers ?? [])).toEqual([
      "nas.home.arpa A 10.59.0.7",
    ]);
    expect((await server.ask(query("cam.home.arpa")))?.message.rcode).toBe(RCODE.NXDOMAIN);
    publish(zones, "cam.home.arpa", ["A 10.59.0.8"]);
    expect((await server.ask(query("cam.home.arpa")))?.message.rcode).toBe(RCODE.NOERROR);
    await server.ask(query("new.example.com"));
    publish(zones, "new.example.com", ["A 10.59.0.9"]);
    expect(lines((await server.ask(query("new.example.com")))?.message.answers ?? [])).toEqual([
      "new.example.com A 10.59.0.9",
    ]);
  });

  it("whose alias leads out is answered with both parts, and AA is the first owner's (F27)", async () => {
    const server = rig();
    server.forward = (bytes) => {
      const { message: asked } = decodeMessage(bytes);
      return Promise.resolve(
        encodeMessage({ ...asked, response: true, answers: [record("www.example.com", "A 93.184.216.34")] }),
      );
    };
    const answer = await server.ask(query("out.home.arpa"));
    expect(answer?.message).toMatchObject({ rcode: RCODE.NOERROR, authoritative: true });
    expect(lines(answer?.message.answers ?? [])).toEqual([
      "out.home.arpa CNAME www.example.com",
      "www.example.com A 93.184.216.34",
    ]);
    server.forward = (bytes) =>
      Promise.resolve(encodeMessage({ ...decodeMessage(bytes).message, response: true, rcode: RCODE.SERVFAIL }));
    expect((await server.ask(query("out.home.arpa")))?.message).toMatchObject({ rcode: RCODE.SERVFAIL, answers: [] });
  });

  it("of every class is answered from IN, and never with AA, as others may have more (RFC 1034 §3.7.1)", async () => {
    const server = rig();
    const asked = (type: number): Uint8Array =>
      encodeMessage(message({ questions: [{ name: name("nas.home.arpa"), type, class: CLASS.ANY }] }));
    for (const type of [TYPE.A, TYPE.A, TYPE.TXT]) {
      const answer = await server.ask(asked(type));
      expect(answer?.message).toMatchObject({ rcode: RCODE.NOERROR, authoritative: false });
      expect(lines(answer?.message.answers ?? [])).toEqual(type === TYPE.A ? ["nas.home.arpa A 10.59.0.2"] : []);
    }
  });

  it("about a name above one of ours is never NXDOMAIN, which would deny ours too (RFC 8020, RFC 4592 §2.2.2)", async () => {
    const zones = zoneData(["7.59.10.in-addr.arpa"], { "a.b.example.com": ["A 10.59.0.2"] });
    publish(zones, "x.y.example.net", ["A 10.59.0.2"], ["lan:lan0"]);
    const server = new Rig(zones);
    // The second time it is not read again.
    for (const owner of ["B.example.com", "b.example.com", "b.example.com", "59.10.in-addr.arpa"])
      expect((await server.ask(query(owner)))?.message, owner).toMatchObject({ rcode: RCODE.NOERROR, response: true });
    for (const owner of ["c.example.com", "y.example.net", "x.a.b.example.com"])
      expect((await server.ask(query(owner)))?.message.rcode, owner).toBe(RCODE.NXDOMAIN);
    // The rcode of a chain is about its end (RFC 6604).
    server.forward = (bytes) => {
      const answers = [record("b.example.com", "CNAME none.example")];
      return Promise.resolve(
        encodeMessage({ ...decodeMessage(bytes).message, response: true, rcode: RCODE.NXDOMAIN, answers }),
      );
    };
    expect((await server.ask(query("b.example.com")))?.message.rcode).toBe(RCODE.NXDOMAIN);
  });

  it("of class CHAOS, of a meta type, and a transfer that is not signed are refused (F24)", async () => {
    const chaos = message({ questions: [{ name: name("version.bind"), type: TYPE.TXT, class: CLASS.CH }] });
    expect((await rig().ask(encodeMessage(chaos)))?.message.rcode).toBe(RCODE.REFUSED);
    expect((await rig().ask(query("home.arpa", "TSIG")))?.message.rcode).toBe(RCODE.FORMERR);
    for (const type of ["AXFR", "IXFR"] as const) {
      expect((await rig().ask(query("home.arpa", type), { transport: "tcp" }))?.message.rcode).toBe(RCODE.REFUSED);
    }
  });
});

describe("EDNS (F3)", () => {
  it("is in the answer exactly if it was in the question", async () => {
    expect((await rig().ask(query("nas.home.arpa")))?.message.edns).toBeNull();
    const asked = edns({ dnssecOk: true, options: [{ code: 10, data: new Uint8Array(8) }] });
    const answer = await rig().ask(query("nas.home.arpa", "A", { edns: asked }));
    expect(answer?.message.edns).toEqual({ udpOctets: 1232, version: 0, dnssecOk: true, options: [] });
  });

  it("of a version that nobody has is BADVERS, with ours", async () => {
    const answer = await rig().ask(query("nas.home.arpa", "A", { edns: edns({ version: 1 }) }));
    expect(answer?.message).toMatchObject({ rcode: RCODE.BADVERS, answers: [], edns: { version: 0 } });
  });

  it("cuts nothing over TCP, where nobody could come by anything longer: what fits in no message is SERVFAIL", async () => {
    const zones = zoneData(["home.arpa"], {});
    const strings = Array.from({ length: 15 }, () => new Uint8Array(250));
    const texts = Array.from({ length: 20 }, (_, ttl): DnsRecord => {
      return { ...record("big.home.arpa", "TXT x"), ttl, data: { kind: "TXT", strings } };
    });
    zones.publish({ name: name("big.home.arpa"), views: null, sets: new Map([[TYPE.TXT, texts]]) });
    const server = new Rig(zones);
    const byUdp = await server.ask(query("big.home.arpa", "TXT"));
    expect(byUdp?.message).toMatchObject({ truncated: true, rcode: RCODE.NOERROR });
    const byTcp = await server.ask(query("big.home.arpa", "TXT", { edns: edns() }), { transport: "tcp" });
    expect(byTcp?.message).toMatchObject({ truncated: false, rcode: RCODE.SERVFAIL, answers: [] });
    expect(byTcp?.message.edns?.options).toHaveLength(1);
  });

  it("says how long an answer may be: longer is TC, over TCP whole (F13, F35)", async () => {
    for (const [octets, most] of [
      [null, 512],
      [100, 512],
      [700, 700],
      [4096, 1232],
    ] as const) {
      const asked = query("big.home.arpa", "A", octets === null ? {} : { edns: edns({ udpOctets: octets }) });
      const reply = await rig().raw(asked);
      expect((reply as Uint8Array).length).toBeLessThanOrEqual(most);
      const { message: answer } = decodeMessage(reply as Uint8Array);
      expect(answer.truncated).toBe(most < 1000);
      expect(answer.answers.length).toBe(most < 1000 ? 0 : 60);
    }
    expect((await rig().ask(query("big.home.arpa"), { transport: "tcp" }))?.message.answers).toHaveLength(60);
  });
});

describe("a stranger", () => {
  it("of another subnet is refused, over UDP and TCP, whatever is asked, and sees nothing (F29, F31)", async () => {
    for (const transport of ["udp", "tcp"] as const) {
      for (const owner of ["nas.home.arpa", "none.home.arpa", "www.example.com"]) {
        const answer = await rig().ask(query(owner), { address: "10.58.0.2", transport });
        expect(answer?.message).toMatchObject({ rcode: RCODE.REFUSED, answers: [], authorities: [], additionals: [] });
      }
    }
  });

  it("is refused a few times a second, and those of its network with it (F34)", async () => {
    const server = rig();
    const answers = [];
    for (let count = 0; count < 20; count += 1) {
      answers.push(await server.raw(query("nas.home.arpa"), { address: `10.58.0.${count + 2}` }));
    }
    expect(answers.filter((each) => each !== null)).toHaveLength(5);
    expect(await server.raw(query("nas.home.arpa"), { address: "10.57.0.2" })).not.toBeNull();
    expect(await server.raw(query("nas.home.arpa"))).not.toBeNull();
  });
});

describe("one client of a LAN, whose source may be a lie (F36)", () => {
  const lan = { view: "lan:lan0", address: "192.168.1.5" } as const;

  it("gets the same answer so often a second, then every second time only that it has to come by TCP", async () => {
    const server = rig();
    const seen = { whole: 0, cut: 0, none: 0 };
    for (let count = 0; count < 60; count += 1) {
      const answer = await server.ask(query("nas.home.arpa"), lan);
      if (answer === null) seen.none += 1;
      else if (answer.message.truncated) seen.cut += 1;
      else seen.whole += 1;
    }
    expect(seen).toEqual({ whole: 20, cut: 20, none: 20 });
    expect((await server.ask(query("nas.home.arpa"), { ...lan, transport: "tcp" }))?.message.truncated).toBe(false);
    expect((await server.ask(query("nas.home.arpa"), { ...lan, address: "192.168.1.6" }))?.message.truncated).toBe(
      false,
    );
    expect((await server.ask(query("cam.home.arpa"), lan))?.message.truncated).toBe(false);
  });

  it("gets it no oftener by asking in other octets: case, options, a long question", async () => {
    const server = rig();
    let whole = 0;
    for (let count = 0; count < 60; count += 1) {
      const owner = "nasnas"
        .split("")
        .map((letter, at) => ((count >> at) & 1 ? letter.toUpperCase() : letter))
        .join("");
      const options = [{ code: 65_001, data: new Uint8Array(count % 2 === 0 ? 4 : 300).fill(count) }];
      const answer = await server.ask(query(`${owner}.home.arpa`, "A", { edns: edns({ options }) }), lan);
      if (answer !== null && !answer.message.truncated) whole += 1;
    }
    expect(whole).toBe(20);
  });

  it.each(["elsewhere.example", "out.home.arpa"])(
    "gets no more of what others answer: %s, be it by an alias of ours",
    async (owner) => {
      const server = rig();
      const seen = { whole: 0, cut: 0, none: 0 };
      for (let count = 0; count < 60; count += 1) {
        const answer = await server.ask(query(owner), lan);
        if (answer === null) seen.none += 1;
        else if (answer.message.truncated) seen.cut += 1;
        else seen.whole += 1;
      }
      expect(seen).toEqual({ whole: 20, cut: 20, none: 20 });
    },
  );

  it("is told to come by TCP in octets that need not be understood", async () => {
    const server = rig();
    const asked = query("elsewhere.example");
    // An A record of three octets: what an upstream says is its own affair.
    const wrong = Buffer.concat([asked, Buffer.from("c00c0001000100000e100003010203", "hex")]);
    wrong[2] = 0x81;
    wrong[7] = 1;
    server.forward = () => Promise.resolve(new Uint8Array(wrong));
    const replies = [];
    for (let count = 0; count < 22; count += 1) replies.push(await server.raw(asked, lan));
    expect(replies.filter((each) => each === null)).toHaveLength(1);
    expect(decodeMessage(replies[21] as Uint8Array).message).toMatchObject({ truncated: true, answers: [] });
  });

  it("is no client of a tunnel: there each source is proven", async () => {
    const server = rig();
    for (let count = 0; count < 100; count += 1) {
      expect((await server.ask(query("nas.home.arpa")))?.message.truncated).toBe(false);
    }
  });
});

describe("one client with very many queries under way", () => {
  it("is told SERVFAIL beyond its share, and others are answered (F38)", async () => {
    const server = rig();
    const open: ((bytes: Uint8Array) => void)[] = [];
    server.forward = () => new Promise((resolve) => open.push(resolve));
    const waiting = Array.from({ length: 128 }, (_, index) => server.raw(query(`n${index}.example.com`)));
    expect((await server.ask(query("more.example.com")))?.message.rcode).toBe(RCODE.SERVFAIL);
    expect(server.forwarded).toHaveLength(128);
    const other = server.raw(query("other.example.com"), { address: "10.59.0.3" });
    expect(server.forwarded).toHaveLength(129);
    for (const [index, answer] of open.entries()) answer(query(`n${index}.example.com`, "A", { response: true }));
    await Promise.all([...waiting, other]);
    const last = server.raw(query("last.example.com"));
    open.at(-1)?.(query("last.example.com", "A", { response: true }));
    expect(await last).not.toBeNull();
  });

  it("is still answered what nobody needs to be asked for, by name and by the same octets", async () => {
    const server = rig();
    const known = query("known.example.com");
    const answer = encodeMessage({ ...decodeMessage(known).message, response: true, rcode: 0 });
    server.atHand = (bytes) => (Buffer.from(bytes).equals(known) ? answer : null);
    expect((await server.ask(known))?.message.rcode).toBe(RCODE.NOERROR);
    server.forward = () => new Promise(() => undefined);
    for (let index = 0; index < 128; index += 1) void server.raw(query(`n${index}.example.com`));
    expect((await server.ask(query("more.example.com")))?.message.rcode).toBe(RCODE.SERVFAIL);
    expect((await server.ask(known))?.message.rcode).toBe(RCODE.NOERROR);
  });
});
