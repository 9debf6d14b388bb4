import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { tableRows } from "../../../src/lib/table.ts";
import { mappingsOf } from "../../../src/reducers/device-mappings.ts";
import { upnpEntries } from "../../../src/reducers/select/upnp-entries.ts";
import { eventsOf, mapped, portAdd, unmapRequest, upnpMap } from "./given.ts";
import { OPERATOR } from "./remembering.ts";
import { Router } from "./router.ts";

/** The configuration calls WireGuard's interface otherwise; null: it has no WireGuard. */
function rename(router: Router, name: string | null): void {
  const { settings } = router.state;
  const wireguard = name === null ? null : { interface: name, listenPort: 51820, nonce: "same-host" as const };
  router.append([event("settings.changed", { settings: { ...settings, wireguard } })]);
}

/** "nas" asked for two ports while the interface was wg0, and for one of it as wg1. */
function renamed(): Router {
  const router = new Router();
  router.device("nas");
  mapped(router.ask("nas"));
  mapped(router.ask("nas", { internalPort: 8081 }));
  rename(router, "wg1");
  mapped(router.ask("nas", { interface: "wg1", internalPort: 8082 }));
  return router;
}

const left = (router: Router): number[] =>
  [...tableRows(router.state.mappings)].map(({ internalPort }) => internalPort).sort((a, b) => a - b);

describe("what a device asked for while WireGuard's interface had another name", () => {
  it("[W1] ends with its right to open ports", () => {
    const router = renamed();
    expect(mappingsOf(router.state, router.find("nas"))).toHaveLength(3);
    router.edit("nas", { ports: "off" });
    expect(left(router)).toEqual([]);
  });

  it("[W1] ends with the device, also while there is no WireGuard", () => {
    const router = renamed();
    rename(router, null);
    router.do({ type: "device.remove", id: router.find("nas").id });
    expect(left(router)).toEqual([]);
  });

  it("[W1] ends as the device gives all of it back, or one of it by UPnP", () => {
    const router = renamed();
    const device = router.find("nas").address;
    const place = { interface: "wg1", device };
    rename(router, "wg0");
    router.do(upnpMap({ interface: "wg0", device }), `upnp:${device}`);
    rename(router, "wg1");
    const [entry] = upnpEntries(router.state, router.leases, place, router.now).filter(({ externalPort }) => {
      return externalPort === 9000;
    });
    expect(entry).toBeDefined();
    const unmap = { type: "upnpUnmap", ...place, protocol: "tcp", externalPort: 9000, remoteHost: null } as const;
    expect(eventsOf(router.do(unmap))).toEqual(["lease.released"]);
    expect(eventsOf(router.do({ ...unmapRequest(), ...place, protocol: 0, internalPort: 0 }))).toEqual([
      "lease.released",
      "lease.released",
      "lease.released",
    ]);
    expect(left(router)).toEqual([]);
  });

  it("[W1] is counted with what it asks for now", () => {
    const router = renamed();
    const { settings } = router.state;
    const { portControl } = settings;
    const perDevice = { ...portControl.perDevice, mappings: 3 };
    router.append([
      event("settings.changed", { settings: { ...settings, portControl: { ...portControl, perDevice } } }),
    ]);
    const asked = router.ask("nas", { interface: "wg1", internalPort: 8083 });
    expect(asked.ok ? "accepted" : asked.refusal.code).toBe("QUOTA_EXCEEDED");
  });

  it("[W1] [E5] comes back by an undo under the name of now", () => {
    const router = new Router();
    router.device("nas", { address: "10.59.7.2" });
    mapped(router.ask("nas"));
    const [before, from] = [router.state, router.records.length];
    router.do({ type: "device.edit", id: router.find("nas").id, address: "10.59.7.3" }, OPERATOR);
    const change = { before, records: router.records.slice(from), later: [] };
    rename(router, "wg1");
    expect(eventsOf(router.do({ type: "change.revert", change }, OPERATOR))).toContain("mapping.restored");
    expect([...tableRows(router.state.mappings)].map((mapping) => mapping.interface)).toEqual(["wg1"]);
  });

  it("[W1] is nobody else's: not a LAN host's with the same address, nor what is forwarded by hand", () => {
    const router = renamed();
    router.do(portAdd({ internalAddress: "192.168.77.9" }));
    mapped(router.map());
    router.edit("nas", { ports: "off" });
    expect([...tableRows(router.state.mappings)].map((mapping) => mapping.interface)).toEqual(["lan0", "lan0"]);
  });
});
