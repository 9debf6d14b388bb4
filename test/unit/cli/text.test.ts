import { describe, expect, it } from "vitest";
import { durationText, parseDuration, parseMoment, whenText } from "../../../src/cli/duration.ts";
import { Failure } from "../../../src/cli/exit.ts";
import { parseDestination, parseForward, parseSelector, parseTarget } from "../../../src/cli/port-text.ts";
import { eventData } from "../../../src/cli/sse.ts";
import { painter, printable, wantsColor } from "../../../src/cli/terminal.ts";
import { textFields, textTable } from "../../../src/cli/text-table.ts";

const plain = painter(false);

function refusal(parse: () => unknown): { exitCode: number; message: string; next: string | null } {
  try {
    parse();
  } catch (cause) {
    if (cause instanceof Failure) return cause;
    throw cause;
  }
  throw new Error("accepted");
}

describe("a forward on the command line", () => {
  it.each([
    ["25565/tcp", ["tcp"], 25565, 25565, 1],
    ["25565", ["tcp", "udp"], 25565, 25565, 1],
    ["8443:443/tcp", ["tcp"], 8443, 443, 1],
    ["49152-49251/udp", ["udp"], 49152, 49152, 100],
    ["6000-6001:7000/TCP", ["tcp"], 6000, 7000, 2],
    ["6000-6001:7000-7001/tcp", ["tcp"], 6000, 7000, 2],
  ])("%s is read as it is meant", (text, protocols, externalPort, internalPort, count) => {
    expect(parseForward(text)).toEqual({ protocols, externalPort, internalPort, count });
  });

  it.each([
    "0/tcp",
    "65536/tcp",
    "80/sctp",
    "90-80/tcp",
    "1:2:3",
    "80-82:90-91/tcp",
    "1-2-3",
    "",
    "a",
    "80/",
    "-5",
    "1e3",
  ])("%j is refused with exit code 2 and how to write it", (text) => {
    expect(refusal(() => parseForward(text))).toMatchObject({
      exitCode: 2,
      next: expect.stringContaining("25565/tcp") as string,
    });
  });
});

describe("a PORT on the command line", () => {
  it.each([
    ["m0123456789ab", { id: "m0123456789ab" }],
    ["8443/tcp", { port: 8443, protocol: "tcp", address: null }],
    ["8443", { port: 8443, protocol: null, address: null }],
    ["11.22.33.1:8443/udp", { port: 8443, protocol: "udp", address: "11.22.33.1" }],
  ])("%s names rows by id or by external place", (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
  });

  it.each(["m123", "web", "1.2.3:80", "80/icmp", "0"])("%j is refused with exit code 2", (text) => {
    expect(refusal(() => parseSelector(text)).exitCode).toBe(2);
  });
});

describe("a host on the command line", () => {
  it("is an IPv4 address that a host can have, with a port where one fits", () => {
    expect(parseTarget("192.168.7.2")).toEqual({ address: "192.168.7.2" });
    expect(parseDestination("192.168.7.2:80")).toEqual({ target: { address: "192.168.7.2" }, port: 80 });
    expect(parseDestination("nas")).toEqual({ target: { device: "nas" }, port: null });
    expect(parseTarget("nas")).toEqual({ device: "nas" });
    for (const text of ["nas/tcp", "127.0.0.1", "224.0.0.1", "192.168.7", "192.168.07.2"]) {
      expect(refusal(() => parseTarget(text)).exitCode, text).toBe(2);
    }
  });
});

describe("time on the command line", () => {
  it("is read in units and said in the two largest", () => {
    expect(["45s", "30m", "2h", "1h30m", "7d"].map(parseDuration)).toEqual([45, 1800, 7200, 5400, 604_800]);
    for (const text of ["", "2", "h", "-1h", "0s", "1.5h", "2h ago", "99999d"])
      expect(refusal(() => parseDuration(text)).exitCode, text).toBe(2);
    expect([0, 59, 3600, 5399, 90_061, 604_800].map(durationText)).toEqual([
      "0 s",
      "59 s",
      "1 h",
      "1 h 29 min",
      "1 d 1 h",
      "7 d",
    ]);
  });

  it("is told from now", () => {
    const now = Date.parse("2026-01-31T12:00:00Z");
    expect(whenText("2026-01-31T13:30:00.000Z", now)).toBe("in 1 h 30 min");
    expect(whenText("2026-01-31T11:59:50.000Z", now)).toBe("10 s ago");
    expect(whenText(null, now)).toBe("never");
    expect(parseMoment("1842", now)).toBe("1842");
    expect(parseMoment("2h ago", now)).toBe("2026-01-31T10:00:00.000Z");
    expect(parseMoment("2026-01-31T12:00:00Z", now)).toBe("2026-01-31T12:00:00.000Z");
    for (const none of ["yesterday", "-1", "1.5", "2026-13-40", "2026-01-31T12:00Zjunk"]) {
      expect(refusal(() => parseMoment(none, now)).exitCode, none).toBe(2);
    }
  });
});

describe("a table", () => {
  it("is aligned, leaves out columns that hold nothing, and ends no line with spaces", () => {
    const rows = [
      ["8443/tcp", "", "web"],
      ["1/udp", "", "größer"],
    ];
    expect(textTable(["PORT", "LABEL", "NAME"], rows, plain)).toBe("PORT      NAME\n8443/tcp  web\n1/udp     größer\n");
    expect(
      textFields(
        [
          ["id", "m1"],
          ["claims", ["a", "b"]],
        ],
        plain,
      ),
    ).toBe("id      m1\nclaims  a\n        b\n");
  });

  it("shows what others chose without letting it steer the terminal", () => {
    expect(printable("a\u001b[2Jb\u202ec\n")).toBe("a\ufffd[2Jb\ufffdc\ufffd");
    expect(textTable(["L"], [["\u001b]0;owned\u0007"]], plain)).not.toContain("\u001b");
  });
});

describe("colours", () => {
  const screen = { isScreen: true } as Parameters<typeof wantsColor>[0];

  it("are for screens, and off by NO_COLOR, a dumb terminal or --no-color", () => {
    expect(wantsColor(screen, {}, true)).toBe(true);
    expect(wantsColor(screen, { NO_COLOR: "1" }, true)).toBe(false);
    expect(wantsColor(screen, { NO_COLOR: "" }, true), "an empty NO_COLOR says nothing").toBe(true);
    expect(wantsColor(screen, { TERM: "dumb" }, true)).toBe(false);
    expect(wantsColor(screen, {}, false)).toBe(false);
    expect(wantsColor({ ...screen, isScreen: false }, {}, true)).toBe(false);
  });
});

describe("server-sent events", () => {
  it("are put together however the pieces are cut", async () => {
    const text = 'retry: 2000\n\nid: 1\ndata: {"a":1}\n\n: nothing new\n\nid: 2\ndata: x\ndata:y\n\n';
    for (const size of [1, 3, 7, text.length]) {
      const pieces = (async function* () {
        for (let start = 0; start < text.length; start += size) yield text.slice(start, start + size);
      })();
      const data: string[] = [];
      for await (const each of eventData(pieces)) data.push(each);
      expect(data, `in pieces of ${size}`).toEqual(['{"a":1}', "x\ny"]);
    }
  });
});
