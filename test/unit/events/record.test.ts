import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { storedRecordSchema } from "../../../src/events/envelope.ts";
import { decodeStored, encodeRecord, hashOf, parseStored } from "../../../src/events/record.ts";
import { pending } from "./samples.ts";

const { text } = encodeRecord(pending(0), 7, "ab".repeat(32));
const stored = JSON.parse(text) as Record<string, unknown>;
const parse = (changes: Record<string, unknown>) => parseStored(7, JSON.stringify({ ...stored, ...changes }));
const decode = (changes: Record<string, unknown>) => decodeStored(parse(changes), "cd".repeat(32));

/** Envelope fields right at, and just over, what the schema takes; and nonsense. */
const FIELDS: Record<string, fc.Arbitrary<unknown>> = {
  seq: fc.constantFrom(7, 7, 7, 0, -1, 7.5, "7", null),
  at: fc.oneof(
    fc
      .date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
      .map((at) => at.toISOString()),
    fc.constantFrom(
      "2024-02-29T00:00:00.000Z",
      "2023-02-29T00:00:00.000Z",
      "1900-02-29T00:00:00.000Z",
      "2000-02-29T00:00:00.000Z",
      "2024-04-31T00:00:00.000Z",
      "2024-13-01T00:00:00.000Z",
      "2024-00-01T00:00:00.000Z",
      "2024-01-00T00:00:00.000Z",
      "2024-01-01T24:00:00.000Z",
      "2024-01-01T23:60:00.000Z",
      "2024-01-01T23:59:60.000Z",
      "2024-01-01T00:00:00Z",
      "2024-01-01T00:00:00.0000Z",
      "2024-01-01T00:00:00.000+00:00",
      "2024-01-01 00:00:00.000Z",
      "",
      0,
    ),
  ),
  source: fc.constantFrom("kernel", "", "x".repeat(128), "x".repeat(129), 1, null),
  requestId: fc.constantFrom("q", "", "x".repeat(128), "x".repeat(129), 1, null),
  causedBy: fc.constantFrom(null, 1, 0, 1.5, "1", Number.MAX_SAFE_INTEGER, 2 ** 53),
  type: fc.constantFrom("mapping.granted", "", "x".repeat(64), "x".repeat(65), 1),
  v: fc.constantFrom(1, 2, 0, -1, 1.5, "1"),
  prevHash: fc.constantFrom("ab".repeat(32), "ab".repeat(31), `${"ab".repeat(31)}AB`, `${"ab".repeat(32)}\n`, 1),
};

const changes = fc.oneof(
  fc.constant(["extra", 1] as const),
  ...Object.entries(FIELDS).map(([field, values]) => values.map((value) => [field, value] as const)),
);

describe("the record codec", () => {
  it("gives back exactly what it was given", () => {
    for (let index = 0; index < 50; index += 1) {
      const { text, record } = encodeRecord(pending(index), index + 1, "00".repeat(32));
      expect(decodeStored(parseStored(index + 1, text), hashOf(text))).toEqual(record);
      expect(record).toMatchObject(pending(index));
    }
  });

  it("takes an envelope if and only if the schema does", () => {
    const agreed = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(changes, ([field, value]) => {
        const envelope = { ...stored, [field]: value };
        let taken = true;
        try {
          parseStored(7, JSON.stringify(envelope));
        } catch (error) {
          expect(error).toMatchObject({ code: "LOG_CORRUPT", seq: 7 });
          taken = false;
        }
        expect([field, value, taken]).toEqual([field, value, storedRecordSchema.safeParse(envelope).success]);
        agreed[taken ? "taken" : "refused"] += 1;
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(agreed.taken, agreed.refused)).toBeGreaterThan(200);
  });

  it("refuses an envelope with a field missing", () => {
    for (const field of Object.keys(stored)) {
      const { [field]: _, ...rest } = stored;
      expect(() => parseStored(7, JSON.stringify(rest))).toThrow(/envelope of record 7/);
    }
  });

  it("refuses what is not JSON, and a record under another one's key", () => {
    expect(() => parseStored(7, text.slice(0, -1))).toThrow(expect.objectContaining({ code: "LOG_CORRUPT", seq: 7 }));
    expect(() => parseStored(8, text)).toThrow(expect.objectContaining({ code: "LOG_CORRUPT", seq: 8 }));
  });

  it("refuses data that does not fit the event's schema", () => {
    const data = { ...(stored["data"] as object), externalPort: 70_000 };
    expect(() => decode({ data })).toThrow(expect.objectContaining({ code: "LOG_CORRUPT", seq: 7 }));
    expect(() => decode({ data: { ...(stored["data"] as object), more: 1 } })).toThrow(/record 7/);
  });

  it("tells an event of a newer program from damage, and names its type and version", () => {
    expect(() => decode({ v: 9 })).toThrow(
      expect.objectContaining({
        code: "LOG_NEWER_VERSION",
        seq: 7,
        message: expect.stringContaining('"mapping.granted" version 9'),
      }),
    );
    for (const type of ["mapping.teleported", "toString", "__proto__"]) {
      expect(() => decode({ type })).toThrow(
        expect.objectContaining({ code: "LOG_NEWER_VERSION", message: expect.stringContaining(`"${type}" version 4`) }),
      );
    }
  });

  it("does not encode what could not be decoded", () => {
    const sample = pending(0);
    const encode = (changes: object) => () => encodeRecord({ ...sample, ...changes }, 1, "00".repeat(32));
    expect(encode({ source: "" })).toThrow(/envelope/);
    expect(encode({ requestId: "x".repeat(129) })).toThrow(/envelope/);
    expect(encode({ event: { ...sample.event, v: 5 } })).toThrow(/version 5/);
    expect(encode({ event: { ...sample.event, data: {} } })).toThrow(/schema/);
    expect(encode({ event: { ...sample.event, type: "x" } })).toThrow();
    expect(encode({ at: 1e15 })).toThrow();
    expect(encode({ at: Number.NaN })).toThrow();
  });
});
