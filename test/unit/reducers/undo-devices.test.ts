import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import type { RecordChange } from "../../../src/lib/dns-record.ts";
import { tableEntries } from "../../../src/lib/table.ts";
import type { Command } from "../../../src/reducers/decide/command.ts";
import { erasedBy } from "../../../src/reducers/objects/index.ts";
import type { Device } from "../../../src/reducers/state.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import { NO_DNS, mapRequest, portAdd, refusalOf } from "./given.ts";
import { messageOf, OPERATOR, Remembering, rowsOf } from "./remembering.ts";

const key = (index: number): string => Buffer.alloc(32, index).toString("base64");
const secret = (index: number): string => `s${index.toString(16).padStart(32, "0")}`;

/** With WireGuard, so that subnets are served. */
function router(): Remembering {
  const gateway = new Remembering({}, "same-host");
  const settings = {
    ...gateway.state.settings,
    lan: [{ interface: "lan0", nonce: "same-host" as const, devices: "any" as const, ...NO_DNS, dns: true }],
    wireguard: { interface: "wg0", listenPort: 51820, nonce: "same-host" as const },
  };
  gateway.append([
    event("settings.changed", { settings }),
    event("wireguard.keyed", { publicKey: key(255), privateKeySecret: secret(255) }),
  ]);
  return gateway;
}

const STEPS = [
  "subnet.add",
  "subnet.edit",
  "subnet.remove",
  "device.add",
  "device.add",
  "device.add lan",
  "device.edit",
  "device.rights",
  "device.remove",
  "device.remove",
  "device.allow",
  "device.disallow",
  "port.add",
  "map",
  "map",
  "device.dns",
  "dns.update",
  "dns.update",
  "record.add",
  "record.edit",
  "record.remove",
  "name.allow",
  "name.disallow",
] as const;
interface Step {
  readonly verb: (typeof STEPS)[number];
  readonly pick: number;
}
const step: fc.Arbitrary<Step> = fc.record({ verb: fc.constantFrom(...STEPS), pick: fc.nat({ max: 1000 }) });

function commandOf(gateway: Remembering, { verb, pick }: Step): Command | null {
  const { state } = gateway;
  const subnets = Object.values(state.subnets).sort((a, b) => (a.id < b.id ? -1 : 1));
  const devices = [...tableEntries(state.devices)].map(([, each]) => each).sort((a, b) => (a.id < b.id ? -1 : 1));
  const subnet = subnets[pick % Math.max(1, subnets.length)];
  const device = devices[pick % Math.max(1, devices.length)];
  const small = 2000 + (pick % 4);
  switch (verb) {
    case "subnet.add": {
      const prefix = `10.59.${pick % 6}.0/24`;
      return {
        type: verb,
        name: `net${pick % 9}`,
        prefix,
        wan: null,
        ipv6Prefix: null,
        dns: { mode: "system" },
        routes: [],
      };
    }
    case "subnet.edit":
      return subnet === undefined
        ? null
        : { type: verb, id: subnet.id, name: `net${pick % 9}`, wan: pick % 2 === 0 ? null : "wan0" };
    case "device.add":
    case "device.add lan": {
      const lan = verb !== "device.add";
      if (!lan && subnet === undefined) return null;
      const index = 1 + (pick % 200);
      return {
        type: "device.add",
        name: `dev${pick % 30}`,
        kind: pick % 3 === 0 ? "client" : "server",
        subnet: lan ? null : (subnet?.id ?? null),
        interface: lan ? "lan0" : null,
        address: lan ? `192.168.77.${2 + (pick % 4)}` : null,
        publicKey: lan ? null : key(index),
        privateKeySecret: null,
        presharedKeySecret: lan ? null : secret(index),
        ports: null,
        dns: null,
        wan: null,
        lifetime: null,
        profile: null,
      };
    }
    case "device.edit": {
      if (device === undefined) return null;
      const address = device.interface === null ? {} : { address: `192.168.77.${2 + (pick % 5)}` };
      return { type: verb, id: device.id, name: `dev${pick % 30}`, ...address };
    }
    case "device.rights":
      return device === undefined
        ? null
        : { type: "device.edit", id: device.id, ports: (["auto", "ask", "off"] as const)[pick % 3] as "auto" };
    case "device.dns":
      return device === undefined
        ? null
        : {
            type: "device.edit",
            id: device.id,
            dns: (["auto", "ask", "off"] as const)[pick % 3] as "auto",
            zones: pick % 5 === 0 ? [`z${pick % 2}.example`] : [],
          };
    case "dns.update":
      return device === undefined ? null : updateOf(device, pick);
    case "record.add":
      return {
        type: verb,
        name: nameOf(pick),
        recordType: pick % 3 === 0 ? "TXT" : "A",
        ttl: pick % 2 === 0 ? null : 60 + (pick % 3),
        value: pick % 3 === 0 ? `"${pick % 2}"` : `192.168.77.${2 + (pick % 3)}`,
        views: pick % 5 === 0 && subnet !== undefined ? [subnet.id] : null,
      };
    case "record.edit":
    case "record.remove": {
      const ids = [...tableEntries(state.recordNames)].map(([id]) => id).sort();
      const id = ids[pick % Math.max(1, ids.length)];
      if (id === undefined) return null;
      return verb === "record.remove" ? { type: verb, id } : { type: verb, id, ttl: 30 + (pick % 3) };
    }
    case "name.allow":
    case "name.disallow":
      return device === undefined
        ? null
        : { type: "name.allow", id: device.id, name: nameOf(pick), allowed: verb === "name.allow" };
    case "device.allow":
    case "device.disallow": {
      if (device === undefined) return null;
      const allowed = verb === "device.allow";
      return { type: "device.allow", id: device.id, protocol: "tcp", internalPort: small, allowed };
    }
    case "port.add":
      return device === undefined
        ? null
        : portAdd({ externalPort: small, internalPort: small, internalAddress: device.address });
    case "map": {
      if (device === undefined) return null;
      const place = { interface: device.interface ?? "wg0", device: device.address, internalPort: small };
      return mapRequest({ by: "natpmp", ...place, suggestedPort: small });
    }
    default: {
      const id = verb === "subnet.remove" ? subnet?.id : device?.id;
      return id === undefined ? null : { type: verb, id };
    }
  }
}

const nameOf = (pick: number): string => ["a.example", "b.a.example", "c.internal", "z0.example"][pick % 4] as string;

function updateOf(device: Device, pick: number): Command {
  const name = nameOf(pick);
  const add = { kind: "add", name, type: pick % 3 === 0 ? "TXT" : "A", ttl: 60 + (pick % 2) } as const;
  const change: RecordChange =
    pick % 4 === 0
      ? { kind: "delete-name", name }
      : { ...add, value: pick % 3 === 0 ? `"${pick % 5}"` : `10.59.0.${pick % 5}` };
  const update = { zone: name, prerequisites: [], changes: [change], lease: null };
  return { type: "dns.update", device: device.id, interface: device.interface ?? "wg0", signed: true, update };
}

/** Who is said to send a command. */
function sourceOf(command: Command): string {
  if (command.type === "map") return `natpmp:${command.device}`;
  return command.type === "dns.update" ? "dns:10.59.0.2" : OPERATOR;
}

function play(gateway: Remembering, steps: readonly Step[]): void {
  for (const each of steps) {
    const command = commandOf(gateway, each);
    if (command !== null) gateway.do(command, sourceOf(command));
  }
}

/** Found once: what a device published on account of a yes comes back with the yes. */
const YES_TAKEN_BACK: [Step[], Step] = [
  [
    { verb: "device.add lan", pick: 0 },
    { verb: "name.allow", pick: 193 },
    { verb: "subnet.add", pick: 0 },
    { verb: "device.dns", pick: 0 },
    { verb: "subnet.add", pick: 0 },
    { verb: "dns.update", pick: 469 },
    { verb: "subnet.add", pick: 0 },
    { verb: "subnet.add", pick: 0 },
  ],
  { verb: "name.disallow", pick: 873 },
];

describe("undo of what is done with subnets and devices", () => {
  it("[E5] gives back the same contentHash and rows, and is refused by name exactly where keys are erased", () => {
    const tried = { undone: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(step, { minLength: 6, maxLength: 30 }), step, (steps, last) => {
        const gateway = router();
        play(gateway, steps);
        if (last.verb === "map" || last.verb === "dns.update") return;
        const [before, hash, length] = [gateway.state, contentHash(gateway.state), gateway.records.length];
        play(gateway, [last]);
        if (gateway.records.length === length) return;
        const change = gateway.change();
        const undone = gateway.revert(change);
        const erased = erasedBy(
          change.records.map((record) => record.event),
          before,
        );
        if (erased !== null) {
          expect(refusalOf(undone).code).toBe("NOT_UNDOABLE");
          expect(messageOf(undone)).toContain(erased);
          tried.refused += 1;
          return;
        }
        expect(messageOf(undone)).toBe("accepted");
        expect(contentHash(gateway.state)).toBe(hash);
        expect(rowsOf(gateway.state)).toEqual(rowsOf(before));
        tried.undone += 1;
      }),
      { numRuns: 1000, examples: [YES_TAKEN_BACK] },
    );
    expect(tried.undone).toBeGreaterThan(150);
    expect(tried.refused).toBeGreaterThan(3);
  });

  it("[E5] of any of it, however long ago, keeps the invariants or refuses", () => {
    let reverted = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 6, maxLength: 30 }), fc.nat(), (steps, pick) => {
        const gateway = router();
        play(gateway, steps);
        if (gateway.changes === 0) return;
        const decision = gateway.revert(gateway.change(1 + (pick % gateway.changes)));
        if (decision.ok) reverted += 1;
        else expect(["NOT_UNDOABLE", "UNDO_CONFLICT"]).toContain(decision.refusal.code);
      }),
      { numRuns: 400 },
    );
    expect(reverted).toBeGreaterThan(80);
  });

  it("[E5] is refused while others are on the subnet, or a port leads to the device, and names them", () => {
    const gateway = router();
    const add = commandOf(gateway, { verb: "subnet.add", pick: 1 }) as Command;
    gateway.do(add);
    const subnet = gateway.change();
    gateway.do(commandOf(gateway, { verb: "device.add", pick: 1 }) as Command);
    const device = gateway.change();
    const later = gateway.records.slice(-1);
    expect(messageOf(gateway.revert({ ...subnet, later }))).toContain(
      `dev1 are on it: record ${later[0]?.seq} (device.added by ${OPERATOR})`,
    );
    gateway.do(commandOf(gateway, { verb: "map", pick: 0 }) as Command, "natpmp:10.59.1.2");
    const mapped = gateway.records.slice(-1);
    expect(messageOf(gateway.revert({ ...device, later: mapped }))).toContain(
      `2000/tcp lead to it by now: record ${mapped[0]?.seq} (mapping.granted by natpmp:10.59.1.2)`,
    );
  });

  it("[W7] gives no IPv6 prefix back that another subnet has part of by now", () => {
    const gateway = router();
    const add = commandOf(gateway, { verb: "subnet.add", pick: 1 }) as Extract<Command, { type: "subnet.add" }>;
    gateway.do({ ...add, ipv6Prefix: "2001:db8:7::/64" });
    const [subnet] = Object.values(gateway.state.subnets);
    gateway.do({ type: "subnet.edit", id: subnet?.id ?? "", ipv6Prefix: null });
    const change = gateway.change();
    gateway.do({ ...add, name: "rival", prefix: "10.60.0.0/24", ipv6Prefix: "2001:db8:7:0:1::/80" });
    const undone = gateway.revert({ ...change, later: gateway.records.slice(-1) });
    expect(refusalOf(undone).code).toBe("UNDO_CONFLICT");
    expect(messageOf(undone)).toContain("the subnet rival has now");
  });

  it("[E5] of a registration goes through where a port led to that address before", () => {
    const gateway = router();
    gateway.do(portAdd({ externalPort: 2000, internalPort: 2000, internalAddress: "192.168.77.2" }));
    const hash = contentHash(gateway.state);
    gateway.do(commandOf(gateway, { verb: "device.add lan", pick: 0 }) as Command);
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    expect(contentHash(gateway.state)).toBe(hash);
  });

  it("[E5] of a yes that was taken back gives back the port that went with it", () => {
    const gateway = router();
    const steps = [
      ["subnet.add", 0],
      ["device.add", 1],
      ["map", 0],
      ["device.rights", 1],
      ["device.allow", 0],
    ] as const;
    play(
      gateway,
      steps.map(([verb, pick]) => ({ verb, pick })),
    );
    const hash = contentHash(gateway.state);
    play(gateway, [{ verb: "device.disallow", pick: 0 }]);
    expect(gateway.mapping(2000), "the port went").toBeUndefined();
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    expect(contentHash(gateway.state)).toBe(hash);
  });
});
