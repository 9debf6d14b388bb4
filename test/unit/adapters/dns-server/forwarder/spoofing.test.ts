import { createSocket } from "node:dgram";
import { describe, expect, it } from "vitest";
import { forwardingTo, upstreamThat } from "./forwarding.ts";
import { a, answerTo, query, questionEnd } from "./messages.ts";

const TRUE = a("www.example.com", "93.184.216.34");
const FALSE = a("www.example.com", "198.51.100.66");
const ANSWER = { rcode: 0, answers: ["www.example.com 300 A 93.184.216.34"] };

/** Each a lie by one detail. */
const LIES: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  "another ID": (bytes) =>
    edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(lie.readUInt16BE(0) ^ 1, 0)),
  "another name": (bytes) => edited(answerTo(bytes, { answers: [FALSE] }), (lie) => (lie[14] = 0x7a)),
  "another type": (bytes) =>
    edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(28, questionEnd(bytes) - 4)),
  "another class": (bytes) =>
    edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(3, questionEnd(bytes) - 2)),
  "another opcode": (bytes) =>
    edited(answerTo(bytes, { answers: [FALSE] }), (lie) => (lie[2] = (lie[2] as number) | 0x28)),
  "QR not set": (bytes) => edited(answerTo(bytes, { answers: [FALSE] }), (lie) => (lie[2] = (lie[2] as number) & 0x7f)),
  "two questions": (bytes) => edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(2, 4)),
  "no question": (bytes) => edited(answerTo(bytes, { answers: [FALSE] }).subarray(0, 12), (lie) => lie.fill(0, 4)),
  "eleven octets": (bytes) => answerTo(bytes, {}).subarray(0, 11),
  nothing: () => Buffer.alloc(0),
};

function edited(bytes: Buffer, edit: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  edit(copy);
  return copy;
}

describe("an answer of an upstream", () => {
  it.each(Object.entries(LIES))(
    "[F7] with %s is dropped, and the true one that comes after it is taken",
    async (_, lie) => {
      const upstream = await upstreamThat((bytes) => [lie(bytes), lie(bytes), answerTo(bytes, { answers: [TRUE] })]);
      const { ask } = forwardingTo([upstream.text]);
      expect(await ask("www.example.com")).toMatchObject(ANSWER);
      expect(upstream.queries).toHaveLength(1);
    },
  );

  it("[F7] from another port or host never counts: the kernel keeps it out", async () => {
    const liar = createSocket("udp4");
    const upstream = await upstreamThat((bytes, { port }) => {
      liar.send(answerTo(bytes, { answers: [FALSE] }), port, "127.0.0.1");
      setTimeout(() => upstream.udp.send(answerTo(bytes, { answers: [TRUE] }), port, "127.0.0.1"), 20);
      return null;
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
    liar.close();
  });

  it("[F7] is not had by guessing: after 64 that do not match the question goes by TCP", async () => {
    const upstream = await upstreamThat((bytes, { transport }) => {
      if (transport === "tcp") return answerTo(bytes, { answers: [TRUE] });
      return Array.from({ length: 70 }, (_, index) =>
        edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(lie.readUInt16BE(0) ^ (index + 1), 0)),
      );
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
    expect(upstream.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  it("[F7] that is no message, or lies about lengths, is not given on", async () => {
    const broken = [
      (bytes: Buffer) => edited(answerTo(bytes, { answers: [FALSE] }), (lie) => lie.writeUInt16BE(9, 6)),
      (bytes: Buffer) => answerTo(bytes, { answers: [FALSE] }).subarray(0, -1),
      (bytes: Buffer) => Buffer.concat([answerTo(bytes, { answers: [FALSE] }), Buffer.alloc(1)]),
      // RDLENGTH 3 of an A record, and the message ends with it.
      (bytes: Buffer) =>
        edited(answerTo(bytes, { answers: [FALSE] }).subarray(0, -1), (lie) => lie.writeUInt16BE(3, lie.length - 5)),
    ];
    for (const make of broken) {
      const upstream = await upstreamThat(make);
      const { ask, passing } = forwardingTo([upstream.text]);
      expect(await passing(ask("www.example.com"))).toMatchObject({ rcode: 2, answers: [] });
    }
  });
});

describe("a query to an upstream", () => {
  it("[F8] has an ID and a port by chance each time", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { rcode: 3 }));
    const { ask } = forwardingTo([upstream.text]);
    await Promise.all(Array.from({ length: 60 }, (_, index) => ask(`n${index}.example.com`)));
    const ids = upstream.queries.map(({ bytes }) => bytes.readUInt16BE(0));
    const ports = upstream.queries.map(({ port }) => port);
    // A chance of one in a million that so many are alike.
    expect(new Set(ids).size).toBeGreaterThan(55);
    expect(new Set(ports).size).toBeGreaterThan(55);
    expect(ports.filter((port, index) => port === (ports[index - 1] ?? 0) + 1).length).toBeLessThan(5);
    expect(ports.every((port) => port >= 32_768)).toBe(true);
  });

  it("[F10] mixes the case of letters, the client reads its own; an answer in other case is asked for by TCP", async () => {
    let keepsCase = true;
    const upstream = await upstreamThat((bytes, { transport }) => {
      if (keepsCase || transport === "tcp") return answerTo(bytes, { answers: [TRUE], rcode: 0 });
      return edited(answerTo(bytes, { answers: [FALSE] }), (lie) =>
        lie.write(lie.toString("latin1", 12, 29).toLowerCase(), 12, "latin1"),
      );
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject({ ...ANSWER, question: "www.example.com" });
    const spelled = upstream.queries[0]?.bytes.toString("latin1", 13, 28) ?? "";
    expect(spelled).not.toBe(spelled.toLowerCase());
    keepsCase = false;
    expect(await ask("www.example.com", "AAAA")).toMatchObject({
      rcode: 0,
      answers: [expect.stringContaining("93.184.216.34")],
    });
    expect(upstream.queries.map(({ transport }) => transport)).toEqual(["udp", "udp", "tcp"]);
  });

  it("[F2][F19] has an OPT record of our own: no option of the client's, 1232 octets (F13)", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [TRUE] }));
    const { forwarder } = forwardingTo([upstream.text]);
    const plain = Buffer.from(query("www.example.com", "A", { edns: 4096 }));
    // Client subnet (RFC 7871) and a cookie (RFC 7873).
    const options = Buffer.from("00080007000118002a0102000a00080102030405060708", "hex");
    plain.writeUInt16BE(options.length, plain.length - 2);
    await forwarder.resolve(Buffer.concat([plain, options]), "v", { transport: "udp" });
    const sent = upstream.queries[0]?.bytes as Buffer;
    expect(sent.subarray(questionEnd(sent)).toString("hex")).toBe("00002904d0000000000000");
  });

  it("[F9] is one for all who ask the same at the same time, however they spell it", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { answers: [TRUE] }));
    const { ask, resolutions } = forwardingTo([upstream.text]);
    const names = ["www.example.com", "WWW.example.com", "www.EXAMPLE.com"];
    const told = await Promise.all(names.map((name, id) => ask(name, "A", { id })));
    expect(told.map(({ id, question }) => [id, question])).toEqual(names.map((name, id) => [id, name]));
    expect(upstream.queries).toHaveLength(1);
    expect(resolutions.map((each) => each.kind === "forwarded" && each.shared)).toEqual([false, true, true]);
  });

  it("[F9] of which no more than 300 of a view's upstreams are under way; the next one is told at once", async () => {
    const silent = await upstreamThat(() => null);
    const other = await upstreamThat((bytes) => answerTo(bytes, { answers: [TRUE] }));
    const views = [
      { id: "v", upstreams: { mode: "custom", servers: [silent.text] } },
      { id: "w", upstreams: { mode: "custom", servers: [other.text] } },
    ] as const;
    const { ask, forwarder, passing } = forwardingTo([], { setup: { views } });
    const waiting = Array.from({ length: 300 }, (_, index) => ask(`n${index}.example.com`));
    expect(await ask("late.example.com")).toMatchObject({ rcode: 2, errors: [{ code: 14 }] });
    expect(forwarder.status.underWay).toBe(300);
    // Nobody else's.
    expect(await ask("www.example.com", "A", { view: "w" })).toMatchObject(ANSWER);
    const all = await passing(Promise.all(waiting), 500);
    expect(new Set(all.map(({ rcode }) => rcode))).toEqual(new Set([2]));
    expect(forwarder.status.underWay).toBe(0);
  });
});
