import { describe, expect, it } from "vitest";
import { findHead, readChain } from "../../../../src/events/leveldb/chain.ts";
import { eventKey } from "../../../../src/events/leveldb/keys.ts";
import type { LogHead } from "../../../../src/events/log.ts";
import { EMPTY_HEAD } from "../../../../src/events/log.ts";
import { encodeRecord } from "../../../../src/events/record.ts";
import { pending } from "../samples.ts";
import { MapStorage } from "./map-storage.ts";

const RECORDS = 12;

function makeChain(): { storage: MapStorage; head: LogHead } {
  const storage = new MapStorage();
  let head = EMPTY_HEAD;
  for (let index = 0; index < RECORDS; index += 1) {
    const { text, record } = encodeRecord(pending(index), head.seq + 1, head.hash);
    storage.values.set(eventKey(record.seq), text);
    head = { seq: record.seq, hash: record.hash };
  }
  return { storage, head };
}

/** The seqs that were given out, and the seq of the fault that ended it, if one did. */
async function read(storage: MapStorage, head: LogHead, after: number, to: number): Promise<[number[], number | null]> {
  const seen: number[] = [];
  try {
    for await (const { seq } of readChain(async () => storage, { after, to, base: EMPTY_HEAD, head })) seen.push(seq);
    return [seen, null];
  } catch (error) {
    expect(error).toMatchObject({ code: "LOG_CORRUPT" });
    return [seen, (error as { seq: number }).seq];
  }
}

const upTo = (last: number, after = 0): number[] =>
  Array.from({ length: last - after }, (_, index) => after + index + 1);

describe("readChain", () => {
  it("never gives out a record whose bytes were changed, wherever it begins and ends", async () => {
    for (let hit = 1; hit <= RECORDS; hit += 1) {
      const { storage, head } = makeChain();
      const text = storage.values.get(eventKey(hit)) as string;
      storage.values.set(eventKey(hit), text.replace('"requestId":"q', '"requestId":"Q'));
      for (let after = 0; after < RECORDS; after += 1) {
        for (let to = after + 1; to <= RECORDS; to += 1) {
          // The record it begins after is what its first one is checked against.
          const fault = hit >= after && hit <= to && hit > 0;
          const expected = fault ? [upTo(Math.max(hit - 1, after), after), hit] : [upTo(to, after), null];
          expect([hit, after, to, ...(await read(storage, head, after, to))]).toEqual([hit, after, to, ...expected]);
        }
      }
    }
  });

  it("names the record that is missing", async () => {
    for (let hit = 1; hit <= RECORDS; hit += 1) {
      const { storage, head } = makeChain();
      storage.values.delete(eventKey(hit));
      const [seen, fault] = await read(storage, head, 0, RECORDS);
      expect(fault).toBe(hit);
      // The record before the gap has nobody to vouch for it.
      expect(seen).toEqual(upTo(Math.max(hit - 2, 0)));
    }
  });

  it("does not take one history's records for another's", async () => {
    const { storage, head } = makeChain();
    const other = encodeRecord(pending(99), 1, EMPTY_HEAD.hash);
    storage.values.set(eventKey(1), other.text);
    expect(await read(storage, head, 0, RECORDS)).toEqual([[], 1]);
  });

  it("[F6] [F32] takes what the machine lacks for a moment for no damage, and a disk that cannot read for one", async () => {
    const { head } = makeChain();
    const reading = async (code: string): Promise<unknown> => {
      const range = async () => await Promise.reject(Object.assign(new Error(code), { code, syscall: "open" }));
      const storage = async () => ({ get: async () => undefined, range });
      const records = readChain(storage, { after: 0, to: RECORDS, base: EMPTY_HEAD, head });
      try {
        for await (const _record of records) expect.unreachable();
        return null;
      } catch (cause) {
        return (cause as { code: string }).code;
      }
    };
    const said = await Promise.all(["EMFILE", "ENOSPC", "ENOMEM", "EIO"].map(reading));
    expect(said).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "LOG_CORRUPT"]);
  });

  it("finds the head by its key", async () => {
    const { storage, head } = makeChain();
    expect(await findHead(storage, EMPTY_HEAD)).toEqual(head);
    expect(await findHead(new MapStorage(), EMPTY_HEAD)).toEqual(EMPTY_HEAD);
    expect(await findHead(new MapStorage(), head), "nothing after the base").toEqual(head);
  });
});
