import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import type { Claim } from "../../../src/events/mapping.ts";
import { tableGet, tableSet } from "../../../src/lib/table.ts";
import { forkState } from "../../../src/reducers/fork.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { mappingAt, mappingNamed, mappingsSharing } from "../../../src/reducers/port-index.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { DEVICE, Gateway, NONCE, OTHER_DEVICE, portAdd, T0, WAN_ADDRESS } from "./given.ts";

const select = selectForwards("0123456789abcdef");
const id = (number: number): string => `m${number.toString(16).padStart(12, "0")}`;
const on443 = (name: string | null) => ({ wan: "wan0", protocol: "tcp", name }) as const;

function claimOf(fields: Partial<Claim> = {}): Claim {
  return {
    key: `pcp:${NONCE}`,
    source: "pcp",
    device: DEVICE,
    nonce: NONCE,
    clientPort: 40_000,
    lifetime: 600,
    expiresAt: T0 + 600_000,
    filters: [],
    description: null,
    enabled: true,
    ...fields,
  };
}

function grant(gateway: Gateway, number: number, name: string | null, claim = claimOf()): string {
  gateway.append([
    event("mapping.granted", {
      id: id(number),
      wan: "wan0",
      protocol: "tcp",
      externalPort: 443,
      internalAddress: claim.device ?? DEVICE,
      internalPort: 5000 + number,
      host: null,
      count: 1,
      interface: "lan0",
      label: null,
      enabled: true,
      sourceAddress: null,
      from: [],
      name,
      claim,
    }),
  ]);
  return id(number);
}

describe("a port that several share by name", () => {
  it("two names and what no name is for are three mappings, each found", () => {
    const gateway = new Gateway();
    grant(gateway, 2, "cloud.example.org");
    grant(gateway, 1, "*.example.org", claimOf({ device: OTHER_DEVICE }));
    gateway.do(portAdd({ externalPort: 443 }));
    const { state } = gateway;
    expect(mappingAt(state, "wan0", "tcp", 443)?.claims[0]?.source).toBe("manual");
    expect(mappingNamed(state, on443("cloud.example.org"), 443)?.id).toBe(id(2));
    expect(mappingNamed(state, on443("*.example.org"), 443)?.id).toBe(id(1));
    expect(mappingNamed(state, on443("other.example.org"), 443)).toBeUndefined();
    expect(mappingsSharing(state, "wan0", "tcp", 443).map((mapping) => mapping.id)).toEqual([id(2), id(1)]);
  });

  it("one goes, or moves to another port, and the others stay", () => {
    const gateway = new Gateway();
    const [cloud, wild] = [grant(gateway, 1, "cloud.example.org"), grant(gateway, 2, "*.example.org")];
    gateway.append([event("mapping.changed", { id: wild, externalPort: 8443 })]);
    expect(mappingsSharing(gateway.state, "wan0", "tcp", 443).map((mapping) => mapping.id)).toEqual([cloud]);
    expect(mappingNamed(gateway.state, on443("*.example.org"), 8443)?.id).toBe(wild);
    gateway.append([event("lease.expired", { mappingId: cloud, claimKey: `pcp:${NONCE}` })]);
    expect(mappingsSharing(gateway.state, "wan0", "tcp", 443)).toEqual([]);
    // Kept from others is the name, and not the port.
    expect(tableGet(gateway.state.quarantine, "wan0|tcp|443|cloud.example.org")).toBeDefined();
    expect(tableGet(gateway.state.quarantine, "wan0|tcp|443")).toBeUndefined();
  });

  it("an operator ends one name: flows of the whole port are not cut for it", () => {
    const gateway = new Gateway();
    const cloud = grant(gateway, 1, "cloud.example.org");
    gateway.do({ type: "port.remove", id: cloud });
    expect(gateway.state.severed.size).toBe(0);
  });

  it("S15 sees a name that is not found, one that is not there, and one that is no TCP port", () => {
    const gateway = new Gateway();
    const cloud = grant(gateway, 1, "cloud.example.org");
    const broken = forkState(gateway.state);
    tableSet(broken.shared, "wan0|tcp|443", ["m00000000000f"]);
    const mapping = tableGet(broken.mappings, cloud);
    tableSet(broken.mappings, cloud, { ...(mapping as NonNullable<typeof mapping>), count: 2 });
    const faults = checkInvariants(broken, gateway.state).filter((fault) => fault.startsWith("S15"));
    expect(faults).toEqual([
      `S15 mapping ${cloud} has the name cloud.example.org and is no TCP port`,
      `S15 mapping ${cloud} is not found among those that share its port`,
      "S15 port wan0|tcp|443 is said to be shared by m00000000000f, which does not",
    ]);
  });
});

describe("a claim that wants nothing forwarded now", () => {
  const forward = `forward|${WAN_ADDRESS}|tcp|443`;

  it("forwards while one claim does, and the row says since when", () => {
    const gateway = new Gateway();
    const mappingId = grant(gateway, 1, null, claimOf({ enabled: false }));
    expect(select(gateway.state).get(forward)).toBeUndefined();
    const asleep = select(gateway.state);
    const second = claimOf({ key: "upnp:", source: "upnp", nonce: null });
    gateway.append([event("lease.granted", { mappingId, claim: second })]);
    expect(select(gateway.state).get(forward)).toMatchObject({ revision: gateway.state.seq });
    expect([...(select(gateway.state).changedSince(asleep) ?? [])]).toContain(forward);
    gateway.append([
      event("lease.changed", { mappingId, claimKey: "upnp:", lifetime: 600, expiresAt: T0 + 600_000, enabled: false }),
    ]);
    expect(select(gateway.state).get(forward)).toBeUndefined();
    gateway.append([
      event("lease.changed", { mappingId, claimKey: "upnp:", lifetime: 900, expiresAt: T0 + 900_000, enabled: true }),
    ]);
    expect(select(gateway.state).get(forward)).toMatchObject({ revision: gateway.state.seq });
    gateway.append([event("lease.released", { mappingId, claimKey: "upnp:", reason: "client" })]);
    expect(select(gateway.state).get(forward)).toBeUndefined();
  });

  it("an end that moves changes nothing of what packets meet", () => {
    const gateway = new Gateway();
    const mappingId = grant(gateway, 1, null);
    const before = select(gateway.state).get(forward)?.revision;
    const end = { lifetime: 900, expiresAt: T0 + 900_000 };
    gateway.append([event("lease.changed", { mappingId, claimKey: `pcp:${NONCE}`, ...end })]);
    expect(select(gateway.state).get(forward)?.revision).toBe(before);
  });
});
