import { describe, expect, it } from "vitest";
import { declaration } from "../../../src/events/declaration.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { Command, Decision } from "../../../src/reducers/decide/command.ts";
import type { Change } from "../../../src/reducers/decide/undo.ts";
import { deviceIpv6 } from "../../../src/reducers/ipv6-host.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import { mapped, portAdd, refusalOf } from "./given.ts";
import { messageOf, OPERATOR, rowsOf } from "./remembering.ts";
import { Router } from "./router.ts";

const [FIRST, SECOND, THIRD] = ["10.59.7.2", "10.59.7.3", "10.59.7.4"];

/** What one request of an operator did; what comes later is added as the undo is asked for. */
function change(router: Router, command: Command): Change {
  const [before, from] = [router.state, router.records.length];
  expect(messageOf(router.do(command, OPERATOR))).toBe("accepted");
  return { before, records: router.records.slice(from), later: [] };
}

function revert(router: Router, made: Change): Decision {
  const later = router.records.slice(made.records.at(-1)?.seq ?? 0);
  return router.do({ type: "change.revert", change: { ...made, later } }, OPERATOR);
}

const moving = (router: Router): Command => ({ type: "device.edit", id: router.find("nas").id, address: SECOND });

/** Of a declaration of two devices of the subnet "home". */
function declaring(addresses: Record<string, string>): Command {
  const document = declaration.parse({
    name: "site",
    subnets: [{ name: "home", prefix: "10.59.7.0/24" }],
    devices: Object.entries(addresses).map(([name, address]) => ({ name, kind: "server", subnet: "home", address })),
  });
  return {
    type: "declaration.apply",
    declaration: document,
    keys: new Map(),
    gatewayKey: null,
    prune: false,
    routes: [],
  };
}

/** Two devices of one declaration. */
function declared(): Router {
  const router = new Router();
  const id = router.idOfSubnet("home");
  router.do({ type: "subnet.remove", id });
  router.subnet("home", "10.59.7.0/24", { managedBy: "site" });
  router.device("a", { address: FIRST, managedBy: "site" });
  router.device("b", { address: SECOND, managedBy: "site" });
  return router;
}

describe("undo of devices that move", () => {
  it("[E5] of a declaration gives an address back that another of its devices took, with the ports of both", () => {
    const router = declared();
    for (const [externalPort, internalAddress] of [
      [8001, FIRST],
      [8002, SECOND],
    ] as const) {
      router.do(portAdd({ externalPort, internalPort: 80, internalAddress }));
    }
    const [hash, rows] = [contentHash(router.state), rowsOf(router.state)];
    const made = change(router, declaring({ a: THIRD, b: FIRST }));
    expect([router.find("a").address, router.find("b").address]).toEqual([THIRD, FIRST]);
    expect(messageOf(revert(router, made))).toBe("accepted");
    expect([router.find("a").address, router.find("b").address]).toEqual([FIRST, SECOND]);
    expect(contentHash(router.state)).toBe(hash);
    expect(rowsOf(router.state)).toEqual(rows);
  });

  it("[E5] gives a right back, and no port at the address that the device has left since", () => {
    const router = new Router();
    router.device("nas");
    mapped(router.ask("nas"));
    const made = change(router, { type: "device.edit", id: router.find("nas").id, ports: "off" });
    router.do(moving(router), OPERATOR);
    expect(refusalOf(revert(router, made)).code).toBe("UNDO_CONFLICT");
    expect(router.state.mappings.size).toBe(0);
  });

  it("[E5] of a declaration can be taken back itself", () => {
    const router = declared();
    const made = change(router, declaring({ a: THIRD, b: FIRST }));
    const hash = contentHash(router.state);
    const undone = change(router, { type: "change.revert", change: made });
    expect(messageOf(revert(router, undone))).toBe("accepted");
    expect(contentHash(router.state)).toBe(hash);
  });

  it("[E5] of a declaration is refused where a third one has the address by now", () => {
    const router = declared();
    const made = change(router, declaring({ a: THIRD, b: FIRST }));
    router.edit("b", { address: "10.59.7.9" });
    router.device("c", { address: FIRST });
    const refused = revert(router, made);
    expect(refusalOf(refused).code).toBe("UNDO_CONFLICT");
    expect(messageOf(refused)).toContain("device a can't become what it was: 10.59.7.2 is the address of c now");
  });
});

describe("what an operator has blocked", () => {
  const codeOf = (router: Router): string => refusalOf(router.ask("nas")).code;
  const blocked = (router: Router): string[] => Object.values(router.state.blocks).map(({ device }) => device);

  it("[F2] [E5] is blocked at another address of the device too, and where an undo brings it", () => {
    const router = new Router();
    router.device("nas", { address: FIRST });
    router.do({ type: "port.block", id: mapped(router.ask("nas")).mappingId });
    const hash = contentHash(router.state);
    const made = change(router, moving(router));
    expect([codeOf(router), blocked(router)]).toEqual(["BLOCKED", [SECOND]]);
    expect(messageOf(revert(router, made))).toBe("accepted");
    expect([codeOf(router), contentHash(router.state)]).toEqual(["BLOCKED", hash]);
    router.do({ type: "port.unblock", device: FIRST, protocol: "tcp", internalPort: 8080 });
    const again = change(router, moving(router));
    router.do({ type: "port.block", id: mapped(router.ask("nas")).mappingId });
    expect(messageOf(revert(router, again))).toBe("accepted");
    expect([codeOf(router), blocked(router)]).toEqual(["BLOCKED", [FIRST]]);
  });

  it("[F2] [P7] is blocked at another IPv6 address of the device too", () => {
    const router = withIpv6();
    const ask = () => refusalOf(router.map({ interface: "wg0", device: addressOf(router) })).code;
    router.do({ type: "port.block", id: opened(router) });
    const [id, routes] = [router.idOfSubnet("home"), [{ prefix: "::/0", interface: "wan0" }]];
    const made = change(router, { type: "subnet.edit", id, ipv6Prefix: "2001:db8:5:1:60::/80", routes });
    expect([ask(), blocked(router)]).toEqual(["BLOCKED", [addressOf(router)]]);
    expect(messageOf(revert(router, made))).toBe("accepted");
    expect([ask(), blocked(router)]).toEqual(["BLOCKED", [addressOf(router)]]);
    router.do(moving(router));
    expect([ask(), blocked(router)]).toEqual(["BLOCKED", [addressOf(router)]]);
  });
});

/** "home" has IPv6, "nas" is on it. */
function withIpv6(): Router {
  const router = new Router();
  const [id, routes] = [router.idOfSubnet("home"), [{ prefix: "::/0", interface: "wan0" }]];
  router.do({ type: "subnet.edit", id, ipv6Prefix: "2001:db8:5:1:59::/80", routes });
  router.device("nas", { address: FIRST });
  return router;
}

const addressOf = (router: Router): string => deviceIpv6(router.state, router.find("nas")) ?? "";
const pinholes = (router: Router): string[] =>
  [...tableRows(router.state.mappings)].map(({ internalAddress }) => internalAddress);

function opened(router: Router): string {
  return mapped(router.map({ interface: "wg0", device: addressOf(router) })).mappingId;
}

/** Which an operator alone wants. */
function kept(router: Router): string {
  const id = opened(router);
  router.do({ type: "port.keep", id });
  router.unmap({ interface: "wg0", device: addressOf(router) });
  return id;
}

describe("undo that would let in to an IPv6 address", () => {
  it("[E5] [P7] of a removal is refused once the device has another one", () => {
    const router = withIpv6();
    const id = kept(router);
    const made = change(router, { type: "port.remove", id });
    router.edit("nas", { address: SECOND });
    const refused = revert(router, made);
    expect(messageOf(refused)).toContain("2001:db8:5:1:59:0:a3b:702 is nobody's now");
    expect(refusalOf(refused).code).toBe("UNDO_CONFLICT");
    expect(pinholes(router)).toEqual([]);
  });

  it("[E5] [P7] of a removal is refused once the device is gone, and with it all of WireGuard", () => {
    const router = withIpv6();
    const id = kept(router);
    const made = change(router, { type: "port.remove", id });
    router.do({ type: "device.remove", id: router.find("nas").id });
    expect(messageOf(revert(router, made))).toContain("is nobody's now");
  });

  it("[E5] [P7] of a move gives it back with the address, and not where the subnet has lost its prefix since", () => {
    const router = withIpv6();
    router.do({ type: "port.keep", id: opened(router) });
    const hash = contentHash(router.state);
    const made = change(router, moving(router));
    expect(pinholes(router)).toEqual([]);
    const undone = change(router, { type: "change.revert", change: made });
    expect(contentHash(router.state)).toBe(hash);
    expect(messageOf(revert(router, undone)), "redone").toBe("accepted");
    router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), ipv6Prefix: null, routes: [] });
    expect(messageOf(revert(router, made))).not.toBe("accepted");
    expect(pinholes(router)).toEqual([]);
  });

  it("[E5] [P7] [W7] of a prefix gives back what was let in by it", () => {
    const router = withIpv6();
    opened(router);
    const hash = contentHash(router.state);
    const id = router.idOfSubnet("home");
    const made = change(router, { type: "subnet.edit", id, ipv6Prefix: null, routes: [] });
    expect(pinholes(router)).toEqual([]);
    expect(messageOf(revert(router, made))).toBe("accepted");
    expect(contentHash(router.state)).toBe(hash);
  });
});

describe("undo of a move of a device that asks", () => {
  function asking(): Router {
    const router = new Router();
    router.device("nas", { address: FIRST, ports: "ask" });
    allow(router, true);
    mapped(router.ask("nas"));
    return router;
  }

  const allow = (router: Router, allowed: boolean): Decision =>
    router.do(
      { type: "device.allow", id: router.find("nas").id, protocol: "tcp", internalPort: 8080, allowed },
      OPERATOR,
    );

  it("[E5] gives its port back while the yes holds", () => {
    const router = asking();
    const hash = contentHash(router.state);
    expect(messageOf(revert(router, change(router, moving(router))))).toBe("accepted");
    expect(contentHash(router.state)).toBe(hash);
  });

  it("[E5] gives no port back without the yes that was withdrawn since", () => {
    const router = asking();
    const made = change(router, moving(router));
    allow(router, false);
    const refused = revert(router, made);
    expect(refusalOf(refused).code).toBe("UNDO_CONFLICT");
    expect(messageOf(refused)).toContain("nas may not open 8080/tcp");
    expect(router.state.mappings.size).toBe(0);
  });

  it("[E5] gives back what it had in spite of a no: that says no to new ones", () => {
    const router = new Router();
    router.device("nas", { address: FIRST });
    mapped(router.ask("nas"));
    router.edit("nas", { ports: "ask" });
    const hash = contentHash(router.state);
    expect(messageOf(revert(router, change(router, moving(router))))).toBe("accepted");
    expect(contentHash(router.state)).toBe(hash);
  });

  it("[E5] of a removal brings the yes of older logs back, which went without a word", () => {
    const router = new Router();
    const onLan = {
      subnet: null,
      interface: "lan0",
      publicKey: null,
      privateKeySecret: null,
      presharedKeySecret: null,
    };
    router.device("nas", { ...onLan, address: "192.168.77.2", ports: "ask" });
    allow(router, true);
    mapped(router.map());
    const hash = contentHash(router.state);
    const before = router.state;
    const removal = router.decide({ type: "device.remove", id: router.find("nas").id }, OPERATOR);
    const events = removal.ok ? removal.events.filter(({ type }) => type !== "allowance.withdrawn") : [];
    router.append(events, OPERATOR);
    const made = { before, records: router.records.slice(-events.length), later: [] };
    expect(made.records.map((record) => record.event.type)).toEqual(["lease.released", "device.removed"]);
    expect(messageOf(revert(router, made))).toBe("accepted");
    expect(contentHash(router.state)).toBe(hash);
  });
});
