import { describe, expect, it } from "vitest";
import { tableDelete, tableGet, tableRows, tableSet } from "../../../src/lib/table.ts";
import { operatorHolds } from "../../../src/reducers/operator-holds.ts";
import { forkState, sealState } from "../../../src/reducers/fork.ts";
import type { Mapping } from "../../../src/reducers/state.ts";
import { DEVICE, Gateway, OTHER_DEVICE, portAdd } from "./given.ts";

/** Everything walked: what the remembered answer has to agree with. */
function walked({ state }: Gateway, address: string, protocol: "tcp" | "udp"): string[] {
  return [...tableRows(state.mappings)]
    .filter((mapping) => mapping.internalAddress === address && mapping.protocol === protocol)
    .filter((mapping) => mapping.claims.some((claim) => claim.key === "manual"))
    .map((mapping) => mapping.id)
    .sort();
}

const held = ({ state }: Gateway, address: string, protocol: "tcp" | "udp"): string[] =>
  operatorHolds(state, address, protocol).sort();

describe("what an operator holds for a host", () => {
  it("agrees with a walk over all mappings through adding, moving, keeping and removing, of two gateways in turn", () => {
    const gateways = [new Gateway(), new Gateway()];
    for (let step = 0; step < 40; step += 1) {
      const gateway = gateways[step % 2] as Gateway;
      const internalAddress = step % 3 === 0 ? OTHER_DEVICE : DEVICE;
      const externalPort = 2000 + step;
      const protocol = step % 5 === 0 ? "udp" : "tcp";
      const added = gateway.do(portAdd({ externalPort, internalPort: externalPort, internalAddress, protocol }));
      gateway.map({ internalPort: 3000 + step });
      const id = added.ok && added.answer.kind === "ids" ? (added.answer.ids[0] as string) : "";
      if (step % 4 === 1) gateway.do({ type: "port.remove", id });
      if (step % 4 === 2) gateway.do({ type: "port.edit", id, internalAddress: OTHER_DEVICE });
      for (const each of gateways) {
        for (const address of [DEVICE, OTHER_DEVICE]) {
          expect(held(each, address, "tcp")).toEqual(walked(each, address, "tcp"));
          expect(held(each, address, "udp")).toEqual(walked(each, address, "udp"));
        }
      }
    }
    expect(held(gateways[0] as Gateway, OTHER_DEVICE, "tcp").length).toBeGreaterThan(0);
  });

  it("counts what came and not what went earlier in the same group", () => {
    const gateway = new Gateway();
    gateway.do(portAdd());
    const [id] = held(gateway, DEVICE, "tcp");
    const fork = forkState(gateway.state);
    expect(operatorHolds(fork, DEVICE, "tcp")).toEqual([id]);
    const mapping = tableGet(fork.mappings, id as string) as Mapping;
    tableSet(fork.mappings, "m2", { ...mapping, id: "m2" });
    expect(new Set(operatorHolds(fork, DEVICE, "tcp"))).toEqual(new Set([id, "m2"]));
    tableDelete(fork.mappings, id as string);
    expect(operatorHolds(fork, DEVICE, "tcp")).toEqual(["m2"]);
    expect(held(gateway, DEVICE, "tcp")).toEqual([id]);
  });

  it("looks at no mapping twice, though every command is decided on a fork", () => {
    const gateway = new Gateway();
    gateway.do(portAdd());
    const [id] = held(gateway, DEVICE, "tcp");
    const state = forkState(gateway.state);
    const mapping = tableGet(state.mappings, id as string) as Mapping;
    let looks = 0;
    for (let n = 0; n < 500; n += 1) {
      const row = { ...mapping, id: `m${n}` };
      Object.defineProperty(row, "claims", { get: () => ((looks += 1), mapping.claims) });
      tableSet(state.mappings, row.id, row);
    }
    sealState(state);
    expect(operatorHolds(forkState(state), DEVICE, "tcp")).toHaveLength(501);
    looks = 0;
    expect(operatorHolds(forkState(state), DEVICE, "tcp")).toHaveLength(501);
    expect(looks).toBe(0);
  });
});
