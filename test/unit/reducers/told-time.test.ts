import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import type { Decision } from "../../../src/reducers/decide/command.ts";
import { Gateway } from "./given.ts";

const MINUTE = 60;

/** A gateway that runs in `boot-1`. */
function started(): Gateway {
  const gateway = new Gateway();
  start(gateway, "boot-1");
  return gateway;
}

function start(gateway: Gateway, bootId: string, { uptimeMs = 90_000, epochsRestarted = false } = {}): Decision {
  const command = {
    type: "controller.start",
    version: "0.1.0",
    instanceId: "0123456789abcdef",
    bootId,
    uptimeMs,
  } as const;
  return gateway.do({ ...command, epochsRestarted }, "controller");
}

const types = (decision: Decision): string[] => (decision.ok ? decision.events.map(({ type }) => type) : []);
const epochMs = ({ state, now }: Gateway): number => now - (state.epochs["lan0"]?.startedAt ?? Number.NaN);

describe("what clients were told of time", () => {
  it("the log is given an instant after ten silent minutes, and not sooner", () => {
    const gateway = started();
    expect(types(gateway.later(9 * MINUTE).do({ type: "leases.checkpoint" }, "clock"))).toEqual([]);
    expect(types(gateway.later(MINUTE).do({ type: "leases.checkpoint" }, "clock"))).toEqual(["clock.noted"]);
    expect(gateway.state.at).toBe(gateway.now);
    expect(types(gateway.later(9 * MINUTE).do({ type: "leases.checkpoint" }, "clock"))).toEqual([]);
  });

  it("where nobody is served nothing is noted", () => {
    const gateway = started();
    const { settings } = gateway.state;
    gateway.append([event("settings.changed", { settings: { ...settings, lan: [] } })]);
    expect(types(gateway.later(60 * MINUTE).do({ type: "leases.checkpoint" }, "clock"))).toEqual([]);
  });

  it("[I10] after a reboot with the wall clock behind, the epoch is not before what anyone was told", () => {
    const gateway = started();
    const logged = gateway.now;
    const told = epochMs(gateway.later(15 * MINUTE));
    gateway.now = logged;
    expect(types(start(gateway, "boot-2"))).toEqual(["controller.started", "epoch.advanced"]);
    expect(epochMs(gateway)).toBe(told);
    const toldAgain = epochMs(gateway.later(15 * MINUTE));
    gateway.now = logged + 2 * MINUTE * 1000;
    start(gateway, "boot-3");
    expect(epochMs(gateway)).toBe(toldAgain);
  });

  it.each([
    ["a clean stop", "boot-2", (gateway: Gateway) => void gateway.do({ type: "controller.stop" }, "controller")],
    ["a crash in the same boot", "boot-1", () => {}],
    ["a reboot of a quarter of an hour", "boot-2", (gateway: Gateway) => void gateway.later(15 * MINUTE)],
  ])("after %s the epoch goes on as it was", (_, bootId, end) => {
    const gateway = started();
    end(gateway);
    const before = gateway.state.epochs;
    expect(types(start(gateway, bootId))).toEqual(["controller.started"]);
    expect(gateway.state.epochs).toEqual(before);
  });

  it("[I15] after promises were given up the epoch begins at 0, as clients must see", () => {
    const gateway = started();
    gateway.later(60 * MINUTE).append([event("epoch.reset", { reason: "a salvaged log goes on" })]);
    expect(types(start(gateway, "boot-2", { epochsRestarted: true }))).toEqual(["controller.started"]);
    expect(epochMs(gateway)).toBe(0);
  });
});
