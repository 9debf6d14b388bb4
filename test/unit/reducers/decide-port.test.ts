import { describe, expect, it } from "vitest";
import { tableRows } from "../../../src/lib/table.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import { DEVICE, eventsOf, Gateway, mapped, OTHER_DEVICE, portAdd, refusalOf, WAN_ADDRESS } from "./given.ts";
import { Remembering } from "./remembering.ts";

const only = (gateway: Gateway) => [...tableRows(gateway.state.mappings)];

describe("decide port", () => {
  it("[F1] adds single ports, ranges and offset ranges", () => {
    const gateway = new Gateway();
    gateway.do(portAdd());
    gateway.do(portAdd({ protocol: "udp", externalPort: 40_000, internalPort: 40_000, count: 100, label: "voice" }));
    gateway.do(portAdd({ protocol: "udp", externalPort: 41_000, internalPort: 42_000, count: 10 }));
    expect(
      only(gateway)
        .map((mapping) => mapping.count)
        .sort((a, b) => a - b),
    ).toEqual([1, 10, 100]);
  });

  it("[F3] an operator's port is never taken over, and the conflict is named", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ label: "web" }));
    const decision = gateway.do(portAdd({ internalAddress: OTHER_DEVICE }));
    expect(decision).toMatchObject({
      ok: false,
      refusal: { code: "PORT_TAKEN", message: expect.stringContaining("web") },
    });
    expect(refusalOf(gateway.do(portAdd({ externalPort: 8400, internalPort: 8400, count: 100 }))).code).toBe(
      "PORT_TAKEN",
    );
  });

  it("[F3] an operator's decision wins over a device's", () => {
    const gateway = new Gateway();
    gateway.map({ device: OTHER_DEVICE, suggestedPort: 8443, internalPort: 1 });
    expect(eventsOf(gateway.do(portAdd()))).toEqual(["lease.released", "mapping.granted"]);
    expect(only(gateway).map((mapping) => mapping.internalAddress)).toEqual([DEVICE]);
  });

  it("[F2] adding the same forward a device has joins it instead of replacing it", () => {
    const gateway = new Gateway();
    gateway.map({ suggestedPort: 8443, internalPort: 443 });
    expect(eventsOf(gateway.do(portAdd()))).toEqual(["lease.granted"]);
    expect(only(gateway)[0]?.claims.map((claim) => claim.source)).toEqual(["pcp", "manual"]);
  });

  it("[F2] [F3] joining it for some visitors alone ends names of devices on it, and yields to an operator's", () => {
    const from = ["203.0.113.0/24"];
    const asked = { externalPort: 8443, internalPort: 443, from };
    const gateway = new Remembering();
    gateway.byDevice({ device: OTHER_DEVICE, internalPort: 443, suggestedPort: 8443, names: ["nas.example.org"] });
    gateway.byDevice({ internalPort: 443, suggestedPort: 8443 });
    expect(only(gateway)).toHaveLength(2);
    const hash = contentHash(gateway.state);
    expect(gateway.do(portAdd(asked))).toMatchObject({ ok: true });
    expect(only(gateway)).toMatchObject([{ name: null, from, claims: [{ source: "pcp" }, { source: "manual" }] }]);
    gateway.revert(gateway.change());
    expect(contentHash(gateway.state)).toBe(hash);
    // A name that an operator keeps would be reached by nobody.
    const name = only(gateway).find((mapping) => mapping.name !== null);
    gateway.do({ type: "port.keep", id: name?.id ?? "" });
    const refused = gateway.do(portAdd(asked));
    expect(refused).toMatchObject({ ok: false, refusal: { code: "PORT_TAKEN", conflicts: [name?.id] } });
    expect(only(gateway)).toMatchObject([{ from: [] }, { from: [] }]);
  });

  it("[F2] keep makes a device's port permanent; it survives the device's release", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    gateway.do({ type: "port.keep", id: mappingId });
    gateway.unmap();
    expect(only(gateway).map((mapping) => mapping.id)).toEqual([mappingId]);
    expect(eventsOf(gateway.do({ type: "port.keep", id: mappingId }))).toEqual([]);
  });

  it("[F2] removing ends all claims; the device may ask again", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map());
    gateway.map({ by: "natpmp" });
    expect(eventsOf(gateway.do({ type: "port.remove", id: mappingId }))).toEqual(["lease.released", "lease.released"]);
    expect(mapped(gateway.map()).externalPort).toBe(8080);
  });

  it("[F2] blocking ends it and refuses further asking until it is lifted", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map());
    gateway.do({ type: "port.block", id: mappingId });
    expect(refusalOf(gateway.map()).code).toBe("BLOCKED");
    expect(refusalOf(gateway.map({ by: "natpmp" })).code).toBe("BLOCKED");
    expect(mapped(gateway.map({ internalPort: 8081 })).externalPort).toBe(8081);
    gateway.do({ type: "port.unblock", device: DEVICE, protocol: "tcp", internalPort: 8080 });
    expect(mapped(gateway.map()).externalPort).toBe(8080);
  });

  it("[F2] a disabled port is not brought back by the device's renewal", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map());
    gateway.do({ type: "port.edit", id: mappingId, enabled: false });
    expect(refusalOf(gateway.map()).code).toBe("NOT_AUTHORIZED");
    gateway.do({ type: "port.edit", id: mappingId, enabled: true });
    expect(mapped(gateway.map()).mappingId).toBe(mappingId);
  });

  it("refuses protected ports, the gateway itself, nonsense addresses and ranges beyond 65535", () => {
    const gateway = new Gateway({ protectedPorts: [22] });
    expect(refusalOf(gateway.do(portAdd({ externalPort: 22 }))).code).toBe("PORT_PROTECTED");
    expect(refusalOf(gateway.do(portAdd({ externalPort: 20, internalPort: 20, count: 5 }))).code).toBe(
      "PORT_PROTECTED",
    );
    expect(refusalOf(gateway.do(portAdd({ externalPort: 61_000 }))).code).toBe("PORT_PROTECTED");
    expect(refusalOf(gateway.do(portAdd({ internalAddress: "192.168.77.1" }))).code).toBe("INVALID_REQUEST");
    expect(refusalOf(gateway.do(portAdd({ internalAddress: "127.0.0.1" }))).code).toBe("INVALID_REQUEST");
    expect(refusalOf(gateway.do(portAdd({ internalPort: 65_530, count: 10 }))).code).toBe("INVALID_REQUEST");
  });

  it("refuses ranges beyond what one transaction should carry, and the addresses of whole networks", () => {
    const gateway = new Gateway();
    const range = { externalPort: 20_000, internalPort: 20_000 };
    expect(refusalOf(gateway.do(portAdd({ ...range, count: 4097 }))).code).toBe("INVALID_REQUEST");
    expect(gateway.do(portAdd({ ...range, count: 4096 })).ok).toBe(true);
    for (const internalAddress of ["192.168.77.255", "192.168.77.0"]) {
      expect(refusalOf(gateway.do(portAdd({ internalAddress }))).code).toBe("INVALID_REQUEST");
    }
  });

  it("[F1] edits a manual port in place and cuts only what moves packets", () => {
    const gateway = new Gateway();
    gateway.do(portAdd());
    const [mapping] = only(gateway);
    const id = mapping?.id ?? "";
    gateway.do({ type: "port.edit", id, label: "shop" });
    expect(gateway.state.severed.size).toBe(0);
    expect(only(gateway)[0]?.specRevision).toBe(mapping?.specRevision);
    // That its forward leads elsewhere ends the flows; a port that leads nowhere any more says so itself.
    gateway.do({ type: "port.edit", id, internalPort: 444 });
    expect(only(gateway)[0]?.specRevision).toBeGreaterThan(mapping?.specRevision ?? 0);
    expect(gateway.state.severed.size).toBe(0);
    gateway.do({ type: "port.edit", id, enabled: false });
    expect([...tableRows(gateway.state.severed)]).toMatchObject([{ address: WAN_ADDRESS, port: 8443 }]);
    expect(only(gateway)[0]).toMatchObject({ id, label: "shop", internalPort: 444, externalPort: 8443 });
  });

  it("[F1] a forward for a limited time ends by itself", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ lifetime: 60 }));
    gateway.later(59);
    expect(eventsOf(gateway.do({ type: "leases.expire" }, "clock"))).toEqual([]);
    gateway.later(1);
    expect(eventsOf(gateway.do({ type: "leases.expire" }, "clock"))).toEqual(["lease.expired"]);
    expect(gateway.state.mappings.size).toBe(0);
  });

  it("a limit that it has already changes nothing", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ lifetime: 60 }));
    const id = only(gateway)[0]?.id ?? "";
    expect(eventsOf(gateway.do({ type: "port.edit", id, lifetime: 60 }))).toEqual([]);
    gateway.later(1);
    expect(eventsOf(gateway.do({ type: "port.edit", id, lifetime: 60 }))).toEqual(["lease.changed"]);
  });

  it("a device's port cannot be moved, only kept first", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map());
    expect(refusalOf(gateway.do({ type: "port.edit", id: mappingId, internalPort: 1 })).code).toBe("NOT_AUTHORIZED");
    expect(eventsOf(gateway.do({ type: "port.edit", id: mappingId, label: "nas" }))).toEqual(["mapping.changed"]);
  });

  it("names what is not found", () => {
    const gateway = new Gateway();
    for (const type of ["port.remove", "port.keep", "port.block", "port.edit"] as const) {
      expect(refusalOf(gateway.do({ type, id: "m000000000000" })).code).toBe("NOT_FOUND");
    }
  });
});
