import { describe, expect, it } from "vitest";
import { tableRows } from "../../../src/lib/table.ts";
import type { Command } from "../../../src/reducers/decide/command.ts";
import { unansweredTo } from "../../../src/reducers/unanswered.ts";
import { portAdd } from "./given.ts";
import { Router } from "./router.ts";

type Profile = Extract<Command, { type: "device.add" }>["profile"];
type Seen = Extract<Command, { type: "port.add" }>["sourceAddress"];

function gateway(profile: Profile, sourceAddress: Seen): Router {
  const router = new Router();
  router.device("nas", { profile });
  const { address } = router.find("nas");
  expect(router.do(portAdd({ externalPort: 8443, internalAddress: address, sourceAddress, count: 2 })).ok).toBe(true);
  return router;
}

describe("visitors that a device cannot answer", () => {
  it.each<[Profile, Seen, number]>([
    ["inbound", null, 0],
    ["full", "keep", 0],
    ["split", null, 0],
    ["split", "gateway", 0],
    ["split", "keep", 1],
    ["starttunnel", null, 1],
    ["starttunnel", "keep", 1],
    ["starttunnel", "gateway", 0],
  ])("[W3] [F8] in the profile %s, with the source %s: %d", (profile, source, count) => {
    const router = gateway(profile, source);
    const found = unansweredTo(router.state, router.find("nas"));
    expect(found).toEqual(count === 0 ? [] : [{ device: "nas", profile, port: "8443-8444/tcp", manual: true }]);
  });

  it("[F8] are none of a forward that is closed, or once it moves to another host", () => {
    const router = gateway("split", "keep");
    const [id = ""] = [...tableRows(router.state.mappings)].map((mapping) => mapping.id);
    router.do({ type: "port.edit", id, enabled: false });
    expect(unansweredTo(router.state, router.find("nas"))).toEqual([]);
    router.do({ type: "port.edit", id, enabled: true, internalAddress: "192.168.77.2" });
    expect(unansweredTo(router.state, router.find("nas"))).toEqual([]);
  });
});
