import { describe, expect, it } from "vitest";
import { tableDelete, tableGet, tableRows, tableSet } from "../../../src/lib/table.ts";
import { editRow, forkState } from "../../../src/reducers/fork.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { usageKey, type Usage, type State } from "../../../src/reducers/state.ts";
import { DEVICE, Gateway } from "./given.ts";
import { keyOf, Router } from "./router.ts";

const KEY = usageKey("lan0", DEVICE);

/** A device with two mappings, and a fork of that state to break. */
function twoMappings(): { before: State; after: State; ids: string[] } {
  const gateway = new Gateway();
  gateway.map({ internalPort: 2001 });
  gateway.map({ internalPort: 2002 });
  const ids = [...(tableGet(gateway.state.usages, KEY) as Usage).mappingIds];
  expect(ids).toHaveLength(2);
  return { before: gateway.state, after: forkState(gateway.state), ids };
}

/** Gives the device one mapping more, as a grant does. */
function grow(state: State): void {
  const [like] = tableRows(state.mappings);
  tableSet(state.mappings, "more", { ...(like as NonNullable<typeof like>), id: "more" });
  editRow(state.usages, KEY, (device) => {
    device.mappingIds = [...device.mappingIds, "more"];
    device.ports += 1;
  });
}

describe("the check of a commit", () => {
  it("S5 sees a mapping that is gone on a device that grew meanwhile", () => {
    const { before, after, ids } = twoMappings();
    grow(after);
    tableDelete(after.mappings, ids[0] as string);
    expect(checkInvariants(after, before)).toContain(`S5 device ${KEY} holds ${ids[0]}, which is not there`);
  });

  it("S5 counts the ports of a mapping anew that became a range in place", () => {
    const { before, after, ids } = twoMappings();
    editRow(after.mappings, ids[1] as string, (mapping) => {
      mapping.count = 2;
    });
    editRow(after.usages, KEY, (device) => {
      device.ports += 1;
    });
    expect(checkInvariants(after, before).filter((fault) => fault.startsWith("S5"))).toEqual([]);
    editRow(after.usages, KEY, (device) => {
      device.ports += 1;
    });
    expect(checkInvariants(after, before)).toContain(`S5 device ${KEY} counts 4 ports and holds 3`);
  });

  it.each(["deviceAt", "deviceNamed", "deviceKeyed"] as const)(
    "S10 sees a device that is not found in %s, and a leftover there",
    (table) => {
      const router = new Router();
      router.device("nas", { publicKey: keyOf(77) });
      const { id, address } = router.find("nas");
      const key = { deviceAt: `|${address}`, deviceNamed: "nas", deviceKeyed: keyOf(77) }[table];
      expect(tableGet(router.state[table], key)).toBe(id);
      const lost = forkState(router.state);
      editRow(lost.devices, id, (device) => {
        device.revision += 1;
      });
      tableDelete(lost[table], key);
      expect(checkInvariants(lost, router.state)).toContainEqual(
        expect.stringMatching(new RegExp(`^S10 device ${id} is not found`)),
      );
      const left = forkState(router.state);
      tableSet(left[table], "left", "d000000000000");
      expect(checkInvariants(left, router.state)).toContain(
        `S10 ${table} left leads to d000000000000, which is not there`,
      );
    },
  );
});
