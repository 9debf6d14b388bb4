import { describe, expect, it } from "vitest";
import { neighbourhood, plainAddress } from "../../../../src/api/auth/client-address.ts";
import { LoginLimits } from "../../../../src/api/auth/login-limits.ts";
import { RequestProblem } from "../../../../src/api/problem.ts";

const MINUTE = 60_000;

class Rig {
  now = 1_000_000;
  readonly limits = new LoginLimits(() => this.now);

  fail(from: string): void {
    this.limits.begin(from).failed();
  }

  /** Seconds to wait; 0 if a try is let through now. */
  wait(from: string): number {
    try {
      this.limits.begin(from).abandoned();
      return 0;
    } catch (cause) {
      if (!(cause instanceof RequestProblem)) throw cause;
      expect(cause.problem).toMatchObject({ code: "TOO_MANY_TRIES", status: 429 });
      return cause.problem.retryAfter as number;
    }
  }
}

describe("login limits", () => {
  it("[A3] double the time to the next try with each failure, to five minutes at most", () => {
    const rig = new Rig();
    const waits: number[] = [];
    for (let count = 0; count < 12; count += 1) {
      rig.fail("192.0.2.1");
      waits.push(rig.wait("192.0.2.1"));
      rig.now += (waits.at(-1) as number) * 1000;
      expect(rig.wait("192.0.2.1")).toBe(0);
    }
    expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8]);
    expect(waits.at(-1)).toBe(300);
  });

  it("[A3] let five failures a minute of an address through, however it spaces them", () => {
    const rig = new Rig();
    let failures = 0;
    const end = rig.now + MINUTE;
    while (rig.now < end) {
      if (rig.wait("192.0.2.1") === 0) {
        rig.fail("192.0.2.1");
        failures += 1;
      }
      rig.now += 100;
    }
    expect(failures).toBeLessThanOrEqual(5);
    expect(failures).toBeGreaterThan(3);
  });

  it("[A3] twenty a minute in all bind those who failed, and nobody else: no flood locks the admin out", () => {
    const rig = new Rig();
    for (let host = 1; host <= 100; host += 1) rig.fail(`192.0.2.${host}`);
    rig.now += 5000;
    expect(rig.wait("192.0.2.7"), "its own delay is over, the minute of all is not").toBeGreaterThan(0);
    const mine = rig.limits.begin("198.51.100.1");
    expect(mine.fresh).toBe(true);
    mine.succeeded();
  });

  it("check one try of an address at a time", () => {
    const rig = new Rig();
    const first = rig.limits.begin("192.0.2.1");
    expect(rig.wait("192.0.2.1")).toBe(1);
    expect(rig.wait("192.0.2.2")).toBe(0);
    first.abandoned();
    expect(rig.wait("192.0.2.1")).toBe(0);
  });

  it("forget an address that signed in, and one that was quiet for an hour", () => {
    const rig = new Rig();
    rig.fail("192.0.2.1");
    rig.now += 2000;
    rig.limits.begin("192.0.2.1").succeeded();
    expect(rig.limits.begin("192.0.2.1").fresh).toBe(true);
    rig.fail("192.0.2.2");
    rig.now += 60 * MINUTE;
    expect(rig.limits.begin("192.0.2.2").fresh).toBe(true);
  });

  it("count an end once: what is given up after it failed has failed", () => {
    const rig = new Rig();
    const attempt = rig.limits.begin("192.0.2.1");
    attempt.failed();
    attempt.abandoned();
    attempt.succeeded();
    expect(rig.wait("192.0.2.1")).toBe(1);
  });

  it("count a /64 as one, and the two ways to write an IPv4 address as one", () => {
    expect(neighbourhood("2001:db8:1:2:3:4:5:6")).toBe(neighbourhood("2001:db8:1:2::1"));
    expect(neighbourhood("2001:db8:1:2::1")).toBe("2001:db8:1:2::/64");
    expect(neighbourhood("::1")).toBe("0:0:0:0::/64");
    expect(neighbourhood("2001:db8::")).toBe("2001:db8:0:0::/64");
    expect(neighbourhood("192.0.2.1")).toBe("192.0.2.1");
    expect(plainAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
    expect(plainAddress("fe80::1%eth0")).toBe("fe80::1");
  });
});
