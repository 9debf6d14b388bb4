import { describe, expect, it } from "vitest";
import type { Verdict } from "../../../../src/adapters/dns-server/messages.ts";
import { CLASS, OPCODE, RCODE, TSIG_ERROR, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import type { DnsRecord, OpenMessage } from "../../../../src/protocols/dns/message.ts";
import { signRequest, tsigKey, verifyResponse } from "../../../../src/protocols/dns/tsig.ts";
import { verifyStream } from "../../../../src/protocols/dns/tsig-stream.ts";
import { edns, KEY_NAME, message, NOW, query, Rig, SECRET } from "./rig.ts";
import { lines, name, publish, record, zoneData } from "./zone.ts";

const key = tsigKey(name(KEY_NAME).key, SECRET);
const signed = (bytes: Uint8Array, at = NOW, by = key): { bytes: Uint8Array; mac: Uint8Array } =>
  signRequest(bytes, by, at);
const rig = (): Rig => new Rig(zoneData(["home.arpa"], { "nas.home.arpa": ["A 10.59.0.2"] }));
const REMOVAL: DnsRecord = {
  name: name("nas.home.arpa"),
  type: TYPE.A,
  class: CLASS.ANY,
  ttl: 0,
  data: { kind: "empty" },
};
const update = (authorities: readonly DnsRecord[] = [REMOVAL, record("nas.home.arpa", "A 10.59.0.9")]): Uint8Array =>
  encodeMessage(
    message({
      opcode: OPCODE.UPDATE,
      recursionDesired: false,
      questions: [{ name: name("home.arpa"), type: TYPE.SOA, class: CLASS.IN }],
      authorities,
    }),
  );

/** The answer, whose signature has to be right. */
async function askSigned(server: Rig, bytes: Uint8Array, from: Parameters<Rig["raw"]>[1] = {}): Promise<OpenMessage> {
  const request = signed(bytes);
  const reply = await server.raw(request.bytes, from);
  if (!(reply instanceof Uint8Array)) throw new Error("not one answer");
  const open = decodeMessage(reply);
  expect(verifyResponse(reply, open.tsig, { key, mac: request.mac }, NOW).kind).toBe("verified");
  return open;
}

describe("a signed message", () => {
  it("has a signed answer, whatever it is: ours, forwarded, refused, an update, not understood (T16)", async () => {
    const server = rig();
    expect(lines((await askSigned(server, query("nas.home.arpa"))).message.answers)).toEqual([
      "nas.home.arpa A 10.59.0.2",
    ]);
    expect((await askSigned(server, query("home.arpa", "SOA"))).message.answers).toHaveLength(1);
    expect((await askSigned(server, query("www.example.com"))).message.rcode).toBe(RCODE.NXDOMAIN);
    expect((await askSigned(server, query("nas.home.arpa", "A", { opcode: OPCODE.STATUS }))).message.rcode).toBe(
      RCODE.NOTIMP,
    );
    expect((await askSigned(server, query("nas.home.arpa", "AXFR"))).message.rcode).toBe(RCODE.REFUSED);
    expect((await askSigned(server, update())).message).toMatchObject({ rcode: RCODE.NOERROR, opcode: OPCODE.UPDATE });
  });

  it("is forwarded without its signature, octet by octet (T24)", async () => {
    const server = rig();
    const bytes = query("www.example.com");
    await askSigned(server, bytes);
    expect(server.forwarded).toEqual([bytes]);
  });

  it("whose forwarded answer leaves no room is cut to question and signature (T20)", async () => {
    const server = rig();
    const answers = Array.from({ length: 28 }, (_, index) => record("www.example.com", `A 93.184.216.${index}`));
    server.forward = (bytes) =>
      Promise.resolve(encodeMessage({ ...decodeMessage(bytes).message, response: true, answers }));
    const open = await askSigned(server, query("www.example.com"));
    expect(open.message).toMatchObject({ truncated: true, answers: [], rcode: RCODE.NOERROR });
    const whole = await askSigned(server, query("www.example.com"), { transport: "tcp" });
    expect(whole.message.answers).toHaveLength(28);
  });

  it.each([
    ["an unknown key", tsigKey(name("other.home.arpa").key, SECRET), {}, "BADKEY"],
    ["another secret", tsigKey(name(KEY_NAME).key, new Uint8Array(32)), {}, "BADSIG"],
    ["the right key from another device's address (T29)", key, { address: "10.59.0.3" }, "BADKEY"],
  ] as const)(
    "by %s is NOTAUTH, with the reason, not signed, and nothing is done (T8, T9)",
    async (_what, by, from, error) => {
      for (const bytes of [update(), query("nas.home.arpa"), query("www.example.com")]) {
        for (const transport of ["udp", "tcp"] as const) {
          const server = rig();
          const open = await server.ask(signed(bytes, NOW, by).bytes, { ...from, transport });
          expect(open?.message).toMatchObject({ rcode: RCODE.NOTAUTH, answers: [] });
          expect(open?.tsig).toMatchObject({ error: TSIG_ERROR[error] });
          expect(open?.tsig?.mac).toHaveLength(0);
          expect([server.updates, server.forwarded]).toEqual([[], []]);
          expect(server.badSignatures).toHaveLength(1);
        }
      }
    },
  );

  it("out of time is BADTIME, signed, with our time (T10)", async () => {
    const server = rig();
    const request = signed(update(), NOW - 301);
    const open = await server.ask(request.bytes);
    expect(open?.message.rcode).toBe(RCODE.NOTAUTH);
    expect(open?.tsig).toMatchObject({ error: TSIG_ERROR.BADTIME, timeSigned: NOW - 301 });
    expect(open?.tsig?.mac).toHaveLength(32);
    expect(server.updates).toEqual([]);
  });

  it("that is malformed only in its data is FORMERR, signed, and of an update without any header bit (U1)", async () => {
    const bytes = update([
      { ...record("nas.home.arpa", "A 10.59.0.9"), data: { kind: "opaque", bytes: Uint8Array.of(1, 2, 3) } },
    ]);
    bytes[2] = (bytes[2] as number) | 0x07;
    bytes[3] = 0xf0;
    expect((await askSigned(rig(), bytes)).message).toMatchObject({
      rcode: RCODE.FORMERR,
      opcode: OPCODE.UPDATE,
      authoritative: false,
      truncated: false,
      recursionDesired: false,
      recursionAvailable: false,
      authenticData: false,
      checkingDisabled: false,
    });
  });

  it("may transfer a zone of long records, none of which is left out", async () => {
    const zones = zoneData(["home.arpa"], {});
    const strings = Array.from({ length: 15 }, () => new Uint8Array(250));
    for (let count = 0; count < 90; count += 1) {
      const owner = `n${count}.home.arpa`;
      const long: DnsRecord = { ...record(owner, "TXT x"), data: { kind: "TXT", strings } };
      zones.publish({ name: name(owner), views: null, sets: new Map([[TYPE.TXT, [long]]]) });
    }
    const request = signed(query("home.arpa", "AXFR"));
    const replies = (await new Rig(zones).raw(request.bytes, { transport: "tcp" })) as readonly Uint8Array[];
    const messages = replies.map((reply) => decodeMessage(reply).message);
    expect(messages.every(({ truncated }) => !truncated)).toBe(true);
    expect(messages.flatMap(({ answers }) => answers)).toHaveLength(90 + 4);
  });

  it("may transfer a zone by TCP, in as many messages as it takes, all of them signed (T6)", async () => {
    const zones = zoneData(["home.arpa"], {});
    for (let count = 0; count < 250; count += 1) publish(zones, `n${count}.home.arpa`, [`A 10.60.0.${count}`]);
    const server = new Rig(zones);
    for (const type of ["AXFR", "IXFR"] as const) {
      const request = signed(query("home.arpa", type));
      const replies = (await server.raw(request.bytes, { transport: "tcp" })) as readonly Uint8Array[];
      expect(replies).toHaveLength(3);
      const verify = verifyStream({ key, mac: request.mac });
      const all = replies.map((reply) => {
        const open = decodeMessage(reply);
        expect(verify(reply, open.tsig, NOW)).toMatchObject({ kind: "verified" });
        return open.message.answers;
      });
      const texts = lines(all.flat());
      expect(texts).toHaveLength(250 + 4);
      expect([texts[0], texts.at(-1)]).toEqual(["home.arpa SOA", "home.arpa SOA"]);
    }
    const other = signed(query("example.com", "AXFR"));
    const [reply] = [await server.raw(other.bytes, { transport: "tcp" })].flat();
    expect(decodeMessage(reply as Uint8Array).message.rcode).toBe(RCODE.NOTAUTH);
  });
});

describe("what costs much", () => {
  const transfer = async (server: Rig): Promise<number> => {
    const reply = await server.raw(signed(query("home.arpa", "AXFR")).bytes, { transport: "tcp" });
    const [first] = [reply].flat();
    return decodeMessage(first as Uint8Array).message.rcode;
  };

  it("is transferred a few times a second by one device", async () => {
    const server = rig();
    const said = [];
    for (let count = 0; count < 6; count += 1) said.push(await transfer(server));
    expect(said).toEqual([0, 0, 0, 0, RCODE.REFUSED, RCODE.REFUSED]);
    server.monotonic += 1000;
    expect(await transfer(server)).toBe(RCODE.NOERROR);
  });

  it("is transferred the less often the more there is of it", async () => {
    const zones = zoneData(["home.arpa"], {});
    for (let count = 0; count < 8000; count += 1) publish(zones, `n${count}.home.arpa`, ["A 10.60.0.1"]);
    const server = new Rig(zones);
    expect(await transfer(server)).toBe(RCODE.NOERROR);
    server.monotonic += 1000;
    expect(await transfer(server)).toBe(RCODE.REFUSED);
    server.monotonic += 1000;
    expect(await transfer(server)).toBe(RCODE.NOERROR);
  });
});

describe("an update", () => {
  it("that is not signed is refused, on a tunnel whatever it says (T14)", async () => {
    const server = rig();
    const open = await server.ask(update());
    expect(open).toMatchObject({ message: { rcode: RCODE.REFUSED }, tsig: null });
    expect(server.updates).toEqual([]);
  });

  it("reaches who decides as its device's, with what tells a repetition", async () => {
    const server = rig();
    await askSigned(server, update());
    await server.raw(signed(update()).bytes);
    await server.raw(signed(update(), NOW + 1).bytes);
    const [first, second, third] = server.updates;
    expect(first).toMatchObject({ device: "d1", interface: "wg0", source: "10.59.0.2", signed: true, timeSigned: NOW });
    expect(first?.update).toEqual({
      zone: "home.arpa",
      prerequisites: [],
      changes: [
        { kind: "delete-rrset", name: "nas.home.arpa", type: "A" },
        { kind: "add", name: "nas.home.arpa", type: "A", ttl: 10, value: "10.59.0.9" },
      ],
      lease: null,
    });
    expect(second?.signature).toBe(first?.signature);
    expect(third?.signature).not.toBe(first?.signature);
  });

  it("is answered with what was decided, its zone, no header bits, and why not if EDNS is spoken (U1, U2, T30)", async () => {
    const server = rig();
    server.decide = (): Verdict => ({
      kind: "answer",
      rcode: RCODE.REFUSED,
      lease: null,
      message: "it is the router's",
    });
    const open = await askSigned(server, update());
    expect(open.message).toMatchObject({
      rcode: RCODE.REFUSED,
      recursionAvailable: false,
      edns: null,
      authorities: [],
    });
    expect(open.message.questions).toHaveLength(1);
    const bytes = encodeMessage({ ...decodeMessage(update()).message, edns: edns() });
    const { options } = (await askSigned(server, bytes)).message.edns ?? edns();
    expect(new TextDecoder().decode(options[0]?.data.subarray(2))).toBe("it is the router's");
  });

  it("is told the lease it was given, if it asked for one (RFC 9664)", async () => {
    const server = rig();
    server.decide = (): Verdict => ({ kind: "answer", rcode: 0, lease: 3600, message: "" });
    const bytes = encodeMessage({
      ...decodeMessage(update()).message,
      edns: edns({ options: [{ code: 2, data: Uint8Array.of(0, 0, 28, 32) }] }),
    });
    expect((await askSigned(server, bytes)).message.edns?.options).toEqual([
      { code: 2, data: Uint8Array.of(0, 0, 14, 16) },
    ]);
    expect(server.updates[0]?.update.lease).toBe(7200);
  });

  it("that may be a repetition from before the start is BADTIME, signed (T19)", async () => {
    const server = rig();
    server.decide = (): Verdict => ({ kind: "stale" });
    const request = signed(update());
    const open = await server.ask(request.bytes);
    expect(open?.message.rcode).toBe(RCODE.NOTAUTH);
    expect(open?.tsig).toMatchObject({ error: TSIG_ERROR.BADTIME });
    expect(open?.tsig?.mac).toHaveLength(32);
  });

  it("is FORMERR or NOTZONE before anybody decides it, signed (U6, U20)", async () => {
    const server = rig();
    const two = encodeMessage({ ...decodeMessage(update()).message, questions: [] });
    expect((await askSigned(server, two)).message.rcode).toBe(RCODE.FORMERR);
    expect((await askSigned(server, update([record("nas.example.com", "A 10.0.0.1")]))).message.rcode).toBe(
      RCODE.NOTZONE,
    );
    expect(server.updates).toEqual([]);
  });

  it("waits with a few others of its device only (U5)", async () => {
    const server = rig();
    server.decide = () => null;
    const waiting = Array.from({ length: 32 }, (_, index) => server.raw(signed(update(), NOW - index).bytes));
    const open = await server.ask(signed(update(), NOW - 40).bytes);
    expect(open?.message.rcode).toBe(RCODE.SERVFAIL);
    expect(server.updates).toHaveLength(32);
    void waiting;
  });

  it("that is long waits with fewer others (U5)", async () => {
    const server = rig();
    server.decide = () => null;
    const text = `TXT "${"x".repeat(200)}"`;
    const long = update(Array.from({ length: 60 }, (_, index) => record(`n${index}.home.arpa`, text)));
    const waiting = Array.from({ length: 8 }, (_, index) =>
      server.raw(signed(long, NOW - index).bytes, { transport: "tcp" }),
    );
    expect(server.updates.length).toBeLessThan(8);
    expect(server.updates.length).toBeGreaterThan(1);
    void waiting;
  });
});

describe("an unsigned update on a LAN that takes them", () => {
  const lan = { view: "lan:lan0", address: "192.168.1.9" } as const;

  it("is a device's, which its address tells", async () => {
    const server = rig();
    const own = update([REMOVAL, record("nas.home.arpa", "A 192.168.1.9")]);
    expect((await server.ask(own, lan))?.message.rcode).toBe(RCODE.NOERROR);
    expect(server.updates).toMatchObject([{ device: "d3", signed: false, signature: null }]);
    expect((await server.ask(own, { ...lan, address: "192.168.1.10" }))?.message.rcode).toBe(RCODE.REFUSED);
    expect(server.updates).toHaveLength(1);
  });
});
