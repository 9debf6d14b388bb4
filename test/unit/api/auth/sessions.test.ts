import { describe, expect, it } from "vitest";
import { clearCookie, sessionCookie, setCookie } from "../../../../src/api/auth/session-cookie.ts";
import { Sessions } from "../../../../src/api/auth/sessions.ts";

const MINUTE = 60_000;

function make() {
  const clock = { now: 5_000_000 };
  return { clock, sessions: new Sessions(() => clock.now) };
}

describe("sessions", () => {
  it("[A3] end after half an hour without a request, and after twelve hours whatever happens", () => {
    const { clock, sessions } = make();
    const { token } = sessions.open("192.0.2.1", "browser");
    clock.now += 29 * MINUTE;
    expect(sessions.use(token)?.address).toBe("192.0.2.1");
    clock.now += 30 * MINUTE;
    expect(sessions.use(token)).toBeUndefined();
    const long = sessions.open("192.0.2.1", "browser").token;
    for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
      clock.now += 20 * MINUTE;
      expect(sessions.use(long), `after ${minutes} minutes`).toBeDefined();
    }
    clock.now += 20 * MINUTE;
    expect(sessions.use(long)).toBeUndefined();
  });

  it("[A3] end at once when they are killed, and with them what they have open", () => {
    const { sessions } = make();
    const one = sessions.open("192.0.2.1", "a");
    const other = sessions.open("192.0.2.2", "b");
    expect(sessions.end(one.session.id)).toBe(true);
    expect(one.session.ended.aborted).toBe(true);
    expect(sessions.use(one.token)).toBeUndefined();
    expect(sessions.use(other.token)).toBeDefined();
    expect(sessions.end(one.session.id)).toBe(false);
    const third = sessions.open("192.0.2.3", "c");
    expect(sessions.endAll(third.session.id)).toBe(1);
    expect(sessions.list().map(({ id }) => id)).toEqual([third.session.id]);
  });

  it("sweep what has run out", () => {
    const { clock, sessions } = make();
    const { session } = sessions.open("192.0.2.1", "a");
    clock.now += 31 * MINUTE;
    sessions.sweep();
    expect(session.ended.aborted).toBe(true);
  });

  it("are 64 at most: the one not used for longest makes room", () => {
    const { clock, sessions } = make();
    const tokens = Array.from({ length: 65 }, () => {
      clock.now += 1;
      return sessions.open("192.0.2.1", "a").token;
    });
    expect(sessions.list()).toHaveLength(64);
    expect(sessions.use(tokens[0] as string)).toBeUndefined();
    expect(sessions.use(tokens[1] as string)).toBeDefined();
  });

  it("are kept as hashes, behind 256 random bits", () => {
    const { sessions } = make();
    const { token } = sessions.open("192.0.2.1", "x".repeat(1000));
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    expect(JSON.stringify(sessions.list())).not.toContain(token);
    expect(sessions.list()[0]?.userAgent).toHaveLength(128);
  });
});

describe("the session cookie", () => {
  it("[A3] is for this host, over TLS, for no script and no other site", () => {
    const value = "a".repeat(43);
    expect(setCookie(value, true)).toBe(`__Host-portreeve=${value}; Path=/; HttpOnly; SameSite=Strict; Secure`);
    expect(setCookie(value, false)).toBe(`portreeve=${value}; Path=/; HttpOnly; SameSite=Strict`);
    expect(clearCookie(true)).toContain("Max-Age=0");
    expect(sessionCookie(`a=b; __Host-portreeve=${value}`, true)).toBe(value);
  });

  it("is not read where it does not belong", () => {
    const value = "a".repeat(43);
    expect(sessionCookie(`portreeve=${value}`, true), "a plain one over TLS").toBeNull();
    expect(sessionCookie(`__Host-portreeve=${value}`, false)).toBeNull();
    for (const header of [undefined, "", "portreeve=", `portreeve=${value}x`, `xportreeve=${value}`, "portreeve=<>"]) {
      expect(sessionCookie(header, false), header).toBeNull();
    }
  });
});
