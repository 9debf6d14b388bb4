import { describe, expect, it } from "vitest";
import { tableRows } from "../../../src/lib/table.ts";
import type { MapRequest } from "../../../src/reducers/decide/command.ts";
import type { Mapping } from "../../../src/reducers/state.ts";
import { DEVICE, eventsOf, mapped, NONCE, OTHER_DEVICE, OTHER_NONCE, refusalOf, WAN_ADDRESS } from "./given.ts";
import { Remembering } from "./remembering.ts";
import { Router } from "./router.ts";

const NOTHING_ELSE = {
  publicKey: null,
  privateKeySecret: null,
  presharedKeySecret: null,
  ports: null,
  dns: null,
  wan: null,
  lifetime: null,
  profile: null,
} as const;

/** A router on whose subnet the device "hub" may ask for ports of some hosts of the LAN 192.168.77.0/24, and of "nas". */
function delegating(mapsFor: readonly string[] = [`${DEVICE}/32`, "10.59.7.0/24"]): Router {
  const router = new Router();
  expect(router.device("hub", { mapsFor }).ok).toBe(true);
  expect(router.device("nas", { kind: "client", ports: "auto" }).ok).toBe(true);
  return router;
}

const asks = (router: Router, thirdParty: string, fields: Partial<MapRequest> = {}) =>
  router.ask("hub", { thirdParty, internalPort: 8080, suggestedPort: 8080, ...fields });

const mappings = (router: Router): Mapping[] => [...tableRows(router.state.mappings)];

const places = (router: Router): string[] =>
  mappings(router).map(({ internalAddress, claims }) => {
    return `${internalAddress} by ${claims.map(({ device }) => device).join(" ")}`;
  });

describe("[P4] THIRD_PARTY", () => {
  it("PCP-S-23 maps to the host that it is for, under its rights and within its quota, and says who asked", () => {
    const router = delegating();
    const hub = router.find("hub").address;
    expect(mapped(asks(router, DEVICE))).toMatchObject({ externalAddress: WAN_ADDRESS, externalPort: 8080 });
    expect(places(router)).toEqual([`${DEVICE} by ${hub}`]);
    expect(mappings(router)[0]).toMatchObject({ interface: "lan0", internalPort: 8080 });
    const nas = router.find("nas").address;
    expect(asks(router, nas, { internalPort: 22, suggestedPort: 2022 }).ok).toBe(true);
    expect(places(router)).toContain(`${nas} by ${hub}`);
    router.edit("nas", { ports: "off" });
    expect(places(router), "the rights of the host itself hold").toEqual([`${DEVICE} by ${hub}`]);
    expect(refusalOf(asks(router, nas)).code).toBe("NOT_AUTHORIZED");
  });

  it("PCP-S-21 is refused to whom nobody let it, and for hosts that are not named", () => {
    const router = delegating();
    expect(refusalOf(asks(router, OTHER_DEVICE)).code).toBe("NOT_DELEGATED");
    const nas = router.find("nas").address;
    expect(refusalOf(router.ask("nas", { thirdParty: DEVICE })).code).toBe("NOT_DELEGATED");
    expect(refusalOf(router.map({ device: OTHER_DEVICE, thirdParty: DEVICE })).code).toBe("NOT_DELEGATED");
    const drop = { interface: "wg0", device: nas, thirdParty: DEVICE, internalPort: 8080 };
    expect(refusalOf(router.unmap(drop)).code).toBe("NOT_DELEGATED");
    expect(places(router)).toEqual([]);
  });

  it("PCP-S-22 names the sender itself only by mistake", () => {
    const router = delegating();
    expect(refusalOf(asks(router, router.find("hub").address)).code).toBe("INVALID_REQUEST");
    expect(refusalOf(router.ask("nas", { thirdParty: router.find("nas").address })).code).toBe("NOT_DELEGATED");
  });

  it("reaches neither the gateway, nor a whole network, nor what is not served", () => {
    const router = delegating(["0.0.0.0/0"]);
    for (const address of ["10.59.7.1", "10.59.7.255", "192.168.1.2", WAN_ADDRESS, "127.0.0.1"]) {
      expect(refusalOf(asks(router, address)).code, address).toBe("NOT_AUTHORIZED");
    }
  });

  it("is renewed and given back by who asked, and by the host itself or another nonce it is not", () => {
    const router = delegating();
    asks(router, DEVICE);
    expect(eventsOf(asks(router, DEVICE))).toEqual([]);
    router.unmap({ device: OTHER_DEVICE, internalPort: 8080, nonce: NONCE });
    expect(places(router)).toHaveLength(1);
    expect(refusalOf(router.map({ internalPort: 8080, nonce: OTHER_NONCE })).code, "a strict network").toBe(
      "NONCE_MISMATCH",
    );
    const hub = router.find("hub").address;
    const gone = router.unmap({ interface: "wg0", device: hub, thirdParty: DEVICE, internalPort: 8080, nonce: NONCE });
    expect(eventsOf(gone)).toEqual(["lease.released"]);
    expect(places(router)).toEqual([]);
  });

  it.each<[string, (router: Router) => unknown]>([
    ["the delegation", (router) => router.edit("hub", { mapsFor: ["10.59.7.0/24"] })],
    ["its right to open ports", (router) => router.edit("hub", { ports: "off" })],
    ["its address", (router) => router.edit("hub", { address: "10.59.7.77" })],
    ["the device", (router) => router.do({ type: "device.remove", id: router.find("hub").id })],
    ["its subnet", (router) => router.do({ type: "subnet.remove", id: router.idOfSubnet("home") })],
  ])("ends at once with %s", (_, end) => {
    const router = delegating();
    expect(asks(router, DEVICE).ok).toBe(true);
    expect(asks(router, router.find("nas").address, { internalPort: 22, suggestedPort: 2022 }).ok).toBe(true);
    router.map({ internalPort: 9000, suggestedPort: 9000 });
    const nas = router.find("nas").address;
    end(router);
    const left = places(router).filter((place) => !place.startsWith(nas));
    expect(left, "what the host asked for itself stays").toEqual([`${DEVICE} by ${DEVICE}`]);
  });

  it("what is delegated is kept as networks, none within another, and what is none is refused", () => {
    const router = delegating(["192.168.77.9", "192.168.77.0/24", "10.0.0.1/8"]);
    expect(router.find("hub").mapsFor).toEqual(["10.0.0.0/8", "192.168.77.0/24"]);
    expect(refusalOf(router.edit("hub", { mapsFor: ["nas"] })).code).toBe("INVALID_REQUEST");
    expect(router.edit("hub", { mapsFor: ["192.168.77.0/24", "10.1.2.3/8"] })).toMatchObject({ ok: true, events: [] });
  });

  it("[E5] comes back with the delegation where that is taken back by an undo, and goes again with it", () => {
    const gateway = new Remembering();
    const lan = { type: "device.add", kind: "server", subnet: null, interface: "lan0", ...NOTHING_ELSE } as const;
    gateway.do({ ...lan, name: "hub", address: OTHER_DEVICE, mapsFor: [DEVICE] });
    const id = [...tableRows(gateway.state.devices)][0]?.id ?? "";
    const asked = gateway.byDevice({ device: OTHER_DEVICE, thirdParty: DEVICE, suggestedPort: 8080 });
    expect(asked.ok).toBe(true);
    const claimed = () => gateway.mapping(8080)?.claims.map(({ device }) => device);
    expect(claimed()).toEqual([OTHER_DEVICE]);
    gateway.do({ type: "device.edit", id, mapsFor: [] });
    expect(claimed()).toBeUndefined();
    expect(gateway.revert(gateway.change()).ok).toBe(true);
    expect(claimed()).toEqual([OTHER_DEVICE]);
    expect(gateway.revert(gateway.change()).ok).toBe(true);
    expect(claimed()).toBeUndefined();
    // Alone it does not come back.
    gateway.do({ type: "device.edit", id, mapsFor: [DEVICE] });
    gateway.byDevice({ device: OTHER_DEVICE, thirdParty: DEVICE, suggestedPort: 8080 });
    gateway.do({ type: "port.remove", id: gateway.idAt(8080) });
    const removed = gateway.change();
    gateway.do({ type: "device.edit", id, mapsFor: [] });
    const undone = gateway.revert({ ...removed, later: gateway.records.slice(-1) });
    expect(refusalOf(undone).code).toBe("UNDO_CONFLICT");
  });
});
