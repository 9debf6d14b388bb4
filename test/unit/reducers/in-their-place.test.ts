import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
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

const LAN_DEVICE = { type: "device.add", kind: "server", subnet: null, interface: "lan0", ...NOTHING_ELSE } as const;

/** A device of the LAN that may ask for another of it. */
function onLan(): { gateway: Remembering; id: string } {
  const gateway = new Remembering();
  gateway.do({ ...LAN_DEVICE, name: "hub", address: OTHER_DEVICE, mapsFor: [DEVICE] });
  return { gateway, id: [...tableRows(gateway.state.devices)][0]?.id ?? "" };
}

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
    const { gateway, id } = onLan();
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

  it("[I9] a delegate's nonces make room among its own, and the host's claim outlives the delegation", () => {
    const router = delegating();
    const nas = router.find("nas").address;
    expect(router.ask("nas", { internalPort: 8080, suggestedPort: 8080, nonce: "00".repeat(12) }).ok).toBe(true);
    for (let index = 1; index <= 6; index += 1) asks(router, nas, { nonce: `0${index}`.repeat(12) });
    const hub = router.find("hub").address;
    expect(places(router)).toEqual([`${nas} by ${nas} ${hub} ${hub} ${hub} ${hub}`]);
    router.edit("hub", { mapsFor: [] });
    expect(places(router)).toEqual([`${nas} by ${nas}`]);
  });

  it.each<{ mapsFor: string[] } | { ports: "off" }>([{ mapsFor: [] }, { ports: "off" }])(
    "[E5] no undo of a move gives back what %o took since",
    (edit) => {
      const { gateway, id } = onLan();
      gateway.byDevice({ device: OTHER_DEVICE, thirdParty: DEVICE, suggestedPort: 8080 });
      gateway.do({ type: "device.edit", id, address: "192.168.77.50" });
      const moved = gateway.change();
      gateway.do({ type: "device.edit", id, ...edit });
      expect(refusalOf(gateway.revert({ ...moved, later: gateway.records.slice(-1) })).code).toBe("UNDO_CONFLICT");
      expect(gateway.mapping(8080)).toBeUndefined();
    },
  );

  it("[E5] nor does it give a device ports that may open none since", () => {
    const { gateway, id } = onLan();
    gateway.byDevice({ device: OTHER_DEVICE, suggestedPort: 8080 });
    gateway.do({ type: "device.edit", id, address: "192.168.77.50" });
    const moved = gateway.change();
    gateway.do({ type: "device.edit", id, ports: "off" });
    expect(refusalOf(gateway.revert({ ...moved, later: gateway.records.slice(-1) })).code).toBe("UNDO_CONFLICT");
    expect(gateway.mapping(8080)).toBeUndefined();
  });

  it("is of the device that was let, where another network has the same address", () => {
    const { gateway } = onLan();
    gateway.byDevice({ device: OTHER_DEVICE, thirdParty: DEVICE, suggestedPort: 8080 });
    const subnetless = { ...LAN_DEVICE, name: "twin", address: OTHER_DEVICE, interface: "lan1" } as const;
    const settings = {
      ...gateway.state.settings,
      lan: [...gateway.state.settings.lan, { ...gateway.state.settings.lan[0], interface: "lan1" }],
    };
    gateway.append([event("settings.changed", { settings } as never)]);
    expect(gateway.do({ ...subnetless, mapsFor: ["10.0.0.0/8"] }).ok).toBe(true);
    const twin = [...tableRows(gateway.state.devices)].find(({ name }) => name === "twin");
    gateway.do({ type: "device.remove", id: twin?.id ?? "" });
    expect(gateway.mapping(8080)?.claims).toHaveLength(1);
  });
});
