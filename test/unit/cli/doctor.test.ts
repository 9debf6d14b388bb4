import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DoctorDocument, ExceptionDocument } from "../../../src/api/schemas/doctor.ts";
import type { Finding } from "../../../src/reducers/doctor/finding.ts";
import { openShell, type Shell } from "./shell.ts";

const FINE: Finding = {
  check: "clock",
  level: "ok",
  message: "the clock is synchronised",
  details: [],
  fix: null,
  exception: null,
};
const DROPPED: Finding = {
  check: "other-firewalls",
  level: "problem",
  message: "Docker drops what Portreeve forwards from wan0 to lan0",
  details: ["table ip filter, chain FORWARD: policy drop"],
  fix: "`portreeve doctor --fix` adds an exception for that and nothing more",
  exception: {
    place: { kind: "iptables", program: "iptables-nft", chain: "DOCKER-USER" },
    allow: { kind: "forwarded" },
    mark: 0x01000000,
  },
};
const RULE =
  "iptables-nft -I DOCKER-USER -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT";

let shell: Shell;
let added: ExceptionDocument[];
beforeEach(async () => {
  shell = await openShell();
  shell.rig.findings = [FINE, DROPPED];
  added = [];
});
afterEach(async () => await shell.close());

const adding = {
  addException: async (exception: ExceptionDocument): Promise<void> => {
    added.push(exception);
    shell.rig.findings = [FINE];
  },
};

describe("portreeve doctor", () => {
  it("[F7] [A8] shows each check on a line, what is wrong with place and remedy, and exits 8", async () => {
    const ran = await shell.run("doctor");
    expect(ran.code).toBe(8);
    expect(ran.out).toBe(
      [
        "✓ the clock is synchronised",
        "✗ Docker drops what Portreeve forwards from wan0 to lan0",
        "    table ip filter, chain FORWARD: policy drop",
        `    ${RULE}`,
        "    `portreeve doctor --fix` adds an exception for that and nothing more",
        "",
        "1 problem, 0 warnings.",
        "",
      ].join("\n"),
    );
    shell.rig.findings = [FINE];
    expect(await shell.run("doctor")).toEqual({
      code: 0,
      out: "✓ the clock is synchronised\n\nAll is well.\n",
      err: "",
    });
  });

  it("exits 0 on a warning, which may be as it is meant", async () => {
    shell.rig.findings = [{ ...FINE, level: "warning", message: "little room" }];
    const ran = await shell.run("doctor");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toContain("! little room");
    expect(ran.out).toContain("0 problems, 1 warning.");
  });

  it("gives scripts one document, with what would be typed", async () => {
    const { code, out } = await shell.run("doctor --json");
    expect(code).toBe(8);
    const { healthy, findings } = JSON.parse(out) as DoctorDocument;
    expect(healthy).toBe(false);
    expect(findings[1]?.exception).toMatchObject({ ...DROPPED.exception, commands: [RULE] });
    expect(findings[1]?.exception?.note).toContain("forgets it at a reboot");
  });

  it("[F7] --fix shows what it would add and asks; a no adds nothing", async () => {
    const refused = await shell.run("doctor --fix", { programs: adding, answer: "n" });
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toContain(RULE);
    expect(added).toEqual([]);
    expect((await shell.run("doctor --fix", { programs: adding })).code, "nobody is there to ask").toBe(2);
    expect(added).toEqual([]);
  });

  it("[F7] --fix adds what was asked for and examines again", async () => {
    const ran = await shell.run("doctor --fix", { programs: adding, answer: "y" });
    expect(ran).toMatchObject({ code: 0, out: "✓ the clock is synchronised\n\nAll is well.\n" });
    expect(added).toEqual([DROPPED.exception]);
    expect(ran.err).toContain("forgets it at a reboot");
    expect((await shell.run("doctor --fix", { programs: adding })).err).toContain(
      "No other firewall needs an exception.",
    );
  });

  it("offers no exception whose words could be taken for options of a command", async () => {
    const place = { kind: "nft", family: "inet", table: "filter", chain: "-f" } as const;
    shell.rig.findings = [{ ...DROPPED, exception: { place, allow: { kind: "forwarded" }, mark: 1 } }];
    const { findings } = JSON.parse((await shell.run("doctor --json")).out) as DoctorDocument;
    expect(findings[0]?.exception).toBeNull();
  });

  it("[F7] --unfix shows what was added, asks, and takes it away; it needs no daemon", async () => {
    let removed = false;
    const programs = {
      findExceptions: async () => {
        return { found: [RULE], remove: async () => void (removed = true) };
      },
    };
    const socket = { PORTREEVE_SOCKET: "/nonexistent" };
    const refused = await shell.run("doctor --unfix", { programs, answer: "n", env: socket });
    expect(refused.err).toContain(RULE);
    expect(removed).toBe(false);
    const ran = await shell.run("doctor --unfix --yes", { programs, env: socket });
    expect(ran).toMatchObject({ code: 0, out: "Removed 1.\n" });
    expect(removed).toBe(true);
    expect((await shell.run("doctor --fix --unfix")).code).toBe(2);
  });
});
