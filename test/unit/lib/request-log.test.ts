import { describe, expect, it } from "vitest";
import { REQUEST_LOG_MAX, type RequestEntry, RequestLog } from "../../../src/lib/request-log.ts";

const entry = (from: string, at: number): RequestEntry => ({
  at,
  protocol: "dns",
  from,
  interface: "wg0",
  request: "UPDATE nothing",
  decision: "refused",
  code: "NOT_AUTHORIZED",
  message: "no",
  durationMs: 0,
});

describe("the last requests", () => {
  it("are those of everybody: who asks most loses its own old ones, and hides nobody's", () => {
    const log = new RequestLog();
    log.add(entry("10.0.0.2", 0));
    for (let at = 1; at <= 5000; at += 1) log.add(entry("10.0.0.3", at));
    const [newest, ...rest] = log.list();
    expect(newest?.at).toBe(5000);
    expect(rest.at(-1)).toEqual(entry("10.0.0.2", 0));
    for (let at = 0; at < 5000; at += 1) log.add(entry(`10.0.1.${at % 250}`, at));
    expect(log.list()).toHaveLength(REQUEST_LOG_MAX);
  });

  it("keep 512 characters of what others wrote, and no memory of the rest", () => {
    const log = new RequestLog();
    const long = (fill: string): string => fill.repeat(64 * 1024);
    log.add({ ...entry("10.0.0.2", 0), request: long("ä"), message: long("m") });
    const [{ request, message } = entry("", 0)] = log.list();
    expect([request.length, message.length]).toEqual([512, 512]);
    expect(request).toBe(`${"ä".repeat(511)}…`);
    log.add({ ...entry("10.0.0.2", 1), request: "x".repeat(512) });
    expect(log.list()[0]?.request).toBe("x".repeat(512));
  });
});
