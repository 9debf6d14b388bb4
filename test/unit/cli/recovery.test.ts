import { describe, expect, it } from "vitest";
import type { Programs } from "../../../src/cli/programs.ts";
import type { SalvageReport } from "../../../src/events/leveldb/salvage.ts";
import { run } from "./shell.ts";

const REPORT: SalvageReport = {
  dataDir: "/d",
  target: "/d.salvaged-1",
  after: 600,
  head: 900,
  lost: { first: 901, last: 950 },
  leftBehind: { first: 1, last: 600 },
};

/** What was asked for, and whether it was carried out. */
function salvaging(report: SalvageReport = REPORT): { programs: Partial<Programs>; calls: unknown[] } {
  const calls: unknown[] = [];
  const planSalvage: Programs["planSalvage"] = (dataDir, restore) => {
    calls.push([dataDir, restore]);
    return Promise.resolve({ ...report, carryOut: () => Promise.resolve(void calls.push("carried out")) });
  };
  return { programs: { planSalvage }, calls };
}

describe("events salvage", () => {
  const args = ["events", "salvage", "--data-dir", "/d"];

  it("[E7] says what would be kept and what is lost, and does nothing unless somebody says yes", async () => {
    const { programs, calls } = salvaging();
    const ran = await run(args, { programs });
    expect(ran.code).toBe(2);
    expect(ran.err).toContain("/d.salvaged-1 would hold records 601 to 900, after the saved state of record 600");
    expect(ran.err).toContain("Records 1 to 600 stay in /d");
    expect(ran.err).toContain("Lost are records 901 to 950");
    expect((await run(args, { programs, answer: "n" })).code).toBe(1);
    expect(calls).toEqual([
      ["/d", null],
      ["/d", null],
    ]);
    const done = await run([...args, "--yes"], { programs });
    expect(done.code).toBe(0);
    expect(done.out).toContain("mv /d /d.damaged\n  mv /d.salvaged-1 /d\n");
    expect(calls.at(-1)).toBe("carried out");
  });

  it("tells a loss that nothing can measure from none", async () => {
    const unknown = salvaging({ ...REPORT, after: 0, leftBehind: null, lost: { first: 901, last: null } });
    const ran = await run([...args, "--yes"], { programs: unknown.programs });
    expect(ran.err).toContain("would hold records 1 to 900.");
    expect(ran.err).toContain("whatever came after record 900");
    const none = salvaging({ ...REPORT, lost: null });
    expect((await run([...args, "--yes"], { programs: none.programs })).err).toContain(
      "No acknowledged record is lost",
    );
  });

  it("prints the report for scripts, and needs a directory", async () => {
    const { programs } = salvaging();
    const ran = await run([...args, "--yes", "--json"], { programs });
    expect(JSON.parse(ran.out)).toEqual(REPORT);
    expect((await run(["events", "salvage"], { programs })).code).toBe(2);
  });
});

describe("snapshot restore", () => {
  it("[E7] takes the newest snapshot or the one that is named", async () => {
    const { programs, calls } = salvaging({ ...REPORT, head: 600 });
    const ran = await run(["snapshot", "restore", "--data-dir", "/d", "--yes"], { programs });
    expect(ran.err).toContain("would hold no record, after the saved state of record 600");
    await run(["snapshot", "restore", "600", "--data-dir", "/d"], { programs, answer: "yes" });
    expect(calls).toEqual([["/d", "newest"], "carried out", ["/d", 600], "carried out"]);
    expect((await run(["snapshot", "restore", "last", "--data-dir", "/d"], { programs })).code).toBe(2);
  });
});

describe("events accept", () => {
  const args = ["events", "accept", "--data-dir", "/d"];
  const head = { seq: 10, hash: "" };
  const accepted = { dataDir: "/d", head: 10, known: 15, reset: 11 };
  const tailLost = { code: "LOG_CORRUPT", seq: 11, message: "the log ends at record 10", remedy: "accept" as const };

  function accepting(fault: Awaited<ReturnType<Programs["verifyLog"]>>["fault"]): {
    programs: Partial<Programs>;
    calls: string[];
  } {
    const calls: string[] = [];
    const programs: Partial<Programs> = {
      verifyLog: () =>
        Promise.resolve({
          ok: fault === undefined,
          head,
          after: 0,
          records: 10,
          witnessAhead: null,
          ...(fault && { fault }),
        }),
      acceptLog: (dataDir) => {
        calls.push(dataDir);
        return Promise.resolve(accepted);
      },
    };
    return { programs, calls };
  }

  it("[F12] says where the log ends, and goes on from there only if somebody says yes", async () => {
    const { programs, calls } = accepting(tailLost);
    const ran = await run(args, { programs });
    expect([ran.code, ran.err]).toEqual([2, expect.stringContaining("the log ends at record 10")]);
    expect(calls).toEqual([]);
    const done = await run(args, { programs, answer: "y" });
    expect(done).toMatchObject({ code: 0, out: expect.stringContaining("Records 11 to 15 are given up") as string });
    expect(calls).toEqual(["/d"]);
    const copy = accepting(undefined);
    expect((await run([...args, "--yes"], { programs: copy.programs })).err).toContain("The log ends at record 10.");
  });

  it("sends a damaged log to what mends it", async () => {
    const { programs, calls } = accepting({ ...tailLost, message: "record 5 is missing", remedy: "salvage" });
    const ran = await run([...args, "--yes"], { programs });
    expect([ran.code, ran.err]).toEqual([8, expect.stringMatching(/record 5 is missing[^]*portreeve events verify/)]);
    expect(calls).toEqual([]);
  });
});
