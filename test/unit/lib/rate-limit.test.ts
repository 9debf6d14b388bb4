import { describe, expect, it } from "vitest";
import { RateLimit } from "../../../src/lib/rate-limit.ts";

/** How many of `count` requests at once are let through. */
function letThrough(limit: RateLimit, source: string, now: number, count: number): number {
  return Array.from({ length: count }, () => limit.take(source, 50, now)).filter(Boolean).length;
}

describe("rate limit of sources", () => {
  it("lets a second's worth through at once, and then as many as time has passed", () => {
    const limit = new RateLimit();
    expect(letThrough(limit, "a", 0, 80)).toBe(50);
    expect(letThrough(limit, "a", 100, 80)).toBe(5);
    expect(letThrough(limit, "a", 60_000, 80)).toBe(50);
  });

  it("lets no source use up another's share", () => {
    const limit = new RateLimit();
    letThrough(limit, "a", 0, 1000);
    expect(letThrough(limit, "b", 0, 80)).toBe(50);
  });

  it("has whoever spent more wait until that is paid", () => {
    const limit = new RateLimit();
    expect(letThrough(limit, "a", 0, 1)).toBe(1);
    limit.spend("a", 99);
    expect(letThrough(limit, "a", 1000, 80)).toBe(0);
    expect(letThrough(limit, "a", 2000, 80)).toBe(50);
  });

  it("is not fooled by a clock that goes back", () => {
    const limit = new RateLimit();
    letThrough(limit, "a", 10_000, 80);
    expect(letThrough(limit, "a", 0, 80)).toBe(0);
  });

  it("remembers at most 4096 sources and forgets the one not heard for longest", () => {
    const limit = new RateLimit();
    for (const source of ["idle", "busy"]) letThrough(limit, source, 0, 80);
    for (let index = 0; index < 4095; index += 1) {
      limit.take(`source ${index}`, 50, 0);
      limit.take("busy", 50, 0);
    }
    expect(limit.size).toBe(4096);
    expect(letThrough(limit, "busy", 0, 1)).toBe(0);
    expect(letThrough(limit, "idle", 0, 1)).toBe(1);
  });
});
