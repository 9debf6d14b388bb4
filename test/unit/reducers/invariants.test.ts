import { describe, expect, it } from "vitest";
import { tableDelete, tableGet, tableRows, tableSet } from "../../../src/lib/table.ts";
import { editRow, forkState } from "../../../src/reducers/fork.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { usageKey, type Usage, type State } from "../../../src/reducers/state.ts";
import { DEVICE, Gateway } from "./given.ts";

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
});
