import { expect, it } from "vitest";
import { clientAddresses } from "../../../src/reducers/select/client-address.ts";
import { event } from "../../../src/events/index.ts";
import { WAN_ADDRESS } from "./given.ts";
import { Router } from "./router.ts";

const OWN = "11.22.33.9";

it("[W6] a registered device is told its own WAN's address, everybody else the preferred one's", () => {
  const router = new Router();
  router.device("nas", { wan: OWN });
  router.device("box");
  router.device("cam", { subnet: null, interface: "lan0", address: "192.168.77.9", wan: "wan1", publicKey: null });
  const told = (served: string, address: string | null) => clientAddresses.ofClient(router.state, served, address);
  expect(told("wg0", router.find("nas").address)).toBe(OWN);
  expect(told("wg0", router.find("box").address)).toBe(WAN_ADDRESS);
  expect(told("lan0", "192.168.77.9")).toBe("11.22.44.1");
  expect(told("lan0", "192.168.77.8")).toBe(WAN_ADDRESS);
  // The same address elsewhere is somebody else.
  expect(told("lan0", router.find("nas").address)).toBe(WAN_ADDRESS);
  expect(told("lan0", null)).toBe(WAN_ADDRESS);
  router.append([event("interface.lost", { name: "wan1" })]);
  expect(told("lan0", "192.168.77.9")).toBeNull();
});

it("[P13] on a tunnel all that may map ports are told alone, on a LAN those with another address", () => {
  const router = new Router();
  router.device("nas");
  router.device("pad", { kind: "client" });
  for (const [name, wan] of [
    ["cam", "wan1"],
    ["tv", null],
  ] as const) {
    const address = `192.168.77.${name.length + 6}`;
    router.device(name, { subnet: null, interface: "lan0", address, wan, publicKey: null });
  }
  expect(clientAddresses.toldAlone(router.state, "wg0")).toEqual([router.find("nas").address]);
  expect(clientAddresses.toldAlone(router.state, "lan0")).toEqual([router.find("cam").address]);
  expect(clientAddresses.hearsMulticast(router.state, "wg0")).toBe(false);
  expect(clientAddresses.hearsMulticast(router.state, "lan0")).toBe(true);
});

it("[W6] names the devices whose address became another, by an edit of theirs, of their subnet, or of the WAN", () => {
  const router = new Router();
  router.device("nas", { wan: OWN });
  router.device("box");
  const [nas, box] = [router.find("nas").address, router.find("box").address];
  const movedBy = (step: () => unknown): string[] => {
    const before = router.state;
    step();
    return clientAddresses.moved(before, router.state).map(({ address }) => address);
  };
  expect(movedBy(() => router.edit("nas", { name: "store" }))).toEqual([]);
  expect(movedBy(() => router.edit("store", { wan: "wan1" }))).toEqual([nas]);
  expect(movedBy(() => router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: OWN }))).toEqual([box]);
  const readdressed = event("interface.observed", {
    name: "wan1",
    up: true,
    addresses: ["11.22.44.7/24"],
    gateway: null,
  });
  expect(movedBy(() => router.append([readdressed]))).toEqual([nas]);
  expect(movedBy(() => router.device("new", { wan: "wan1" }))).toEqual([]);
});
