import { encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { nameKeyAt, serviceParameters, skimMessage, skimQuery } from "../../../../src/protocols/dns/skim.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const HEADER = (questions: number, answers: number, authorities = 0, additionals = 0): string =>
  ["1234", "8180", questions, answers, authorities, additionals]
    .map((part) => (typeof part === "number" ? part.toString(16).padStart(4, "0") : part))
    .join("");
const WWW = "03777777 07 6578616d706c65 03636f6d 00";
const QUESTION = `${WWW} 0001 0001`;
const message = (counts: string, ...parts: string[]): Uint8Array => hex([counts, ...parts].join(""));

const plain = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

describe("skimming a query", () => {
  it("says where the question ends and what it asks", () => {
    const bytes = plain(
      encode({ type: "query", id: 1, flags: 0x0110, questions: [{ name: "www.example.com", type: "AAAA" }] }),
    );
    expect(skimQuery(bytes)).toEqual({ flags: 0x0110, type: 28, class: 1, questionEnd: bytes.length, edns: null });
  });

  it("[F3] reads the OPT record wherever it is, and what is beside it", () => {
    const opt = "00 0029 1000 00 00 8000 0000";
    const tsig = "00 00fa 00ff 00000000 0000";
    const edns = { udpOctets: 4096, rcodeHigh: 0, version: 0, dnssecOk: true };
    for (const additionals of [[opt], [opt, tsig], [tsig, opt]]) {
      const bytes = message(`1234 0100 0001 0000 0000 000${additionals.length}`, QUESTION, ...additionals);
      expect(skimQuery(bytes)).toMatchObject({ type: 1, questionEnd: 33, edns });
    }
  });

  it.each([
    ["less than a header", "1234 0100 0001 0000 0000 00"],
    ["no question", "1234 0100 0000 0000 0000 0000"],
    ["two questions", `1234 0100 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`],
    ["a name that does not end", "1234 0100 0001 0000 0000 0000 03777777"],
    ["a name without its type", `1234 0100 0001 0000 0000 0000 ${WWW} 0001 00`],
    ["a pointer in the question", "1234 0100 0001 0000 0000 0000 c00c 0001 0001"],
    ["a label of 64", `1234 0100 0001 0000 0000 0000 40${"61".repeat(64)} 00 0001 0001`],
    [
      "a name of 256 octets",
      `1234 0100 0001 0000 0000 0000 ${`3f${"61".repeat(63)}`.repeat(3)} 3e${"61".repeat(62)} 00 0001 0001`.replace(
        "3e",
        "3f61",
      ),
    ],
    ["octets behind the question", `1234 0100 0001 0000 0000 0000 ${QUESTION} 00`],
    ["octets behind OPT", `1234 0100 0001 0000 0000 0001 ${QUESTION} 00 0029 1000 00 00 0000 0000 00`],
    ["OPT that is cut off", `1234 0100 0001 0000 0000 0001 ${QUESTION} 00 0029 1000 00 00 0000 00`],
    [
      "an option that is longer than OPT",
      `1234 0100 0001 0000 0000 0001 ${QUESTION} 00 0029 1000 00 00 0000 0004 000a 0001`,
    ],
    ["two OPT", `1234 0100 0001 0000 0000 0002 ${QUESTION} 00 0029 1000 00 00 0000 0000 00 0029 1000 00 00 0000 0000`],
    ["OPT of a name", `1234 0100 0001 0000 0000 0001 ${QUESTION} 0161 00 0029 1000 00 00 0000 0000`],
  ])("refuses %s", (_, bytes) => {
    expect(skimQuery(hex(bytes))).toBeNull();
  });

  it("takes a name of 255 octets", () => {
    const name = `${`3f${"61".repeat(63)}`.repeat(3)} 3d${"61".repeat(61)} 00`;
    expect(skimQuery(hex(`1234 0100 0001 0000 0000 0000 ${name} 0001 0001`))?.questionEnd).toBe(12 + 255 + 4);
  });
});

describe("skimming a message", () => {
  it("says where each record and its TTL are, and leaves OPT out", () => {
    const bytes = message(
      HEADER(1, 2, 1, 1),
      QUESTION,
      "c00c 0005 0001 0000012c 0006 03 636463 c010",
      "c02d 0001 0001 0000003c 0004 5db8d822",
      "c010 0002 0001 00000001 0002 c00c",
      "00 0029 04d0 01 00 0000 0000",
    );
    const skim = skimMessage(bytes);
    expect(
      skim?.records.map(({ section, type, nameAt, ttlAt, dataAt, end }) => [section, type, nameAt, ttlAt, dataAt, end]),
    ).toEqual([
      ["answer", 5, 33, 39, 45, 51],
      ["answer", 1, 51, 57, 63, 67],
      ["authority", 2, 67, 73, 79, 81],
    ]);
    expect(skim?.edns).toEqual({ udpOctets: 1232, rcodeHigh: 1, version: 0, dnssecOk: false });
    expect(nameKeyAt(bytes, 51)).toBe("\u0003cdc\u0007example\u0003com\u0000");
  });

  it.each([
    ["more records than there is room for", message(HEADER(1, 0xffff), QUESTION)],
    ["a record that ends early", message(HEADER(1, 1), QUESTION, "c00c 0001 0001 0000012c 0004 5db8d8")],
    ["octets behind the last record", message(HEADER(1, 1), QUESTION, "c00c 0001 0001 0000012c 0004 5db8d822 00")],
    ["a pointer to itself", message(HEADER(1, 1), QUESTION, "c021 0001 0001 0000012c 0004 5db8d822")],
    ["a pointer forwards", message(HEADER(1, 1), QUESTION, "c023 0001 0001 0000012c 0004 5db8d822")],
    ["a pointer into the header", message(HEADER(1, 1), QUESTION, "c00b 0001 0001 0000012c 0004 5db8d822")],
    ["a label of the type 01", message(HEADER(1, 1), QUESTION, "4161 00 0001 0001 0000012c 0004 5db8d822")],
    ["a label of the type 10", message(HEADER(1, 1), QUESTION, "8161 00 0001 0001 0000012c 0004 5db8d822")],
    ["an A record of 3 octets", message(HEADER(1, 1), QUESTION, "c00c 0001 0001 0000012c 0003 5db8d8")],
    ["an AAAA record of 4 octets", message(HEADER(1, 1), QUESTION, "c00c 001c 0001 0000012c 0004 5db8d822")],
    ["a CNAME longer than its name", message(HEADER(1, 1), QUESTION, "c00c 0005 0001 0000012c 0003 c010 00")],
    [
      "a CNAME whose name goes on behind it",
      message(HEADER(1, 2), QUESTION, "c00c 0005 0001 0000012c 0001 03", "777777 00 0001 0001 0000012c 0001 00"),
    ],
    ["an SOA without its numbers", message(HEADER(1, 0, 1), QUESTION, "c010 0006 0001 0000012c 0004 c00c c00c")],
    ["an MX of nothing", message(HEADER(1, 1), QUESTION, "c00c 000f 0001 0000012c 0002 000a")],
    [
      "SVCB keys out of order",
      message(HEADER(1, 1), QUESTION, "c00c 0041 0001 0000012c 000b 0001 00 0003 0000 0001 0000"),
    ],
    [
      "an SVCB value longer than its record",
      message(HEADER(1, 1), QUESTION, "c00c 0041 0001 0000012c 0007 0001 00 0004 0004"),
    ],
    ["OPT among the answers", message(HEADER(1, 1), QUESTION, "00 0029 04d0 00 00 0000 0000")],
  ])("refuses %s", (_, bytes) => {
    expect(skimMessage(bytes)).toBeNull();
  });

  it("reads the hints of HTTPS", () => {
    const bytes = message(
      HEADER(1, 1),
      QUESTION,
      "c00c 0041 0001 0000012c 0013 0001 00 0001 0003 02 6832 0004 0004 c0a80101 ff00 0001 00".replace("0013", "0017"),
    );
    const skim = skimMessage(bytes);
    expect(skim).not.toBeNull();
    const record = skim?.records[0];
    expect(record && [...serviceParameters(bytes, record)].map(({ key, at, end }) => [key, end - at])).toEqual([
      [1, 3],
      [4, 4],
      [0xff00, 1],
    ]);
  });

  it("[W5] chains of pointers and long names cost no more than 64 steps an octet", () => {
    const long = `${`3f${"61".repeat(63)}`.repeat(3)} 3d${"61".repeat(61)} 00 0001 0001`;
    const short = `${"0161".repeat(127)} 00 0001 0001`;
    for (const name of [long, short]) {
      const count = 5000;
      const bytes = message(HEADER(1, count), name, "c00c 0010 0001 00000000 0000".repeat(count));
      const skim = skimMessage(bytes);
      expect(skim?.records).toHaveLength(count);
      expect(skim?.steps).toBeLessThanOrEqual(64 * bytes.length);
    }
    // Each record's name leads to the one before it.
    const first = 12 + 5;
    let chain = "00 0010 0001 00000000 0000";
    for (let index = 1; index < 1000; index += 1) {
      const before = index === 1 ? first : first + 11 + (index - 2) * 12;
      chain += `c${before.toString(16).padStart(3, "0")} 0010 0001 00000000 0000`;
    }
    expect(skimMessage(message(HEADER(1, 1000), "00 0001 0001", chain))).toBeNull();
  });

  it("takes what the codec takes, and finds the same records", () => {
    const types = ["A", "AAAA", "NS", "CNAME", "PTR", "MX", "TXT", "SRV", "SOA"] as const;
    const datas: Readonly<Record<string, unknown>> = {
      A: "192.0.2.1",
      AAAA: "2001:db8::1",
      MX: { preference: 10, exchange: "mx.example.com" },
      TXT: ["some", "text"],
      SRV: { priority: 1, weight: 2, port: 3, target: "x.example.com" },
      SOA: { mname: "a.example", rname: "b.example", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 },
    };
    const answers = types.map((type) => ({
      type,
      name: "www.example.com",
      ttl: 7,
      data: datas[type] ?? "other.example.com",
    })) as never;
    const bytes = plain(
      encode({ type: "response", id: 9, questions: [{ name: "www.example.com", type: "ANY" as never }], answers }),
    );
    const { message: decoded } = decodeMessage(bytes);
    const skim = skimMessage(bytes);
    expect(skim?.records.map(({ type }) => type)).toEqual(decoded.answers.map(({ type }) => type));
    expect(skim?.records.map(({ nameAt }) => nameKeyAt(bytes, nameAt))).toEqual(
      decoded.answers.map(({ name }) => name.key),
    );
  });
});
