import { describe, expect, it } from "vitest";
import { tableDelete, tableGet, tableRows, tableSet } from "../../../src/lib/table.ts";
import { editRow, forkState } from "../../../src/reducers/fork.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import type { DnsName, State } from "../../../src/reducers/state.ts";
import { Router } from "./router.ts";

const NAME = "photos.home.internal";

/** A device's name with two records, and a fork of that state to break. */
function named(): { before: State; after: State; id: string; record: string } {
  const router = new Router();
  router.device("nas", { zones: ["z.example"] });
  const { id } = router.find("nas");
  const add = { kind: "add", name: NAME, type: "A", ttl: 60 } as const;
  const changes = [add, { ...add, value: "10.59.7.3" }].map((each) => ({ value: "10.59.7.2", ...each }));
  const update = { zone: "home.internal", prerequisites: [], changes, lease: null };
  router.do({ type: "dns.update", device: id, interface: "wg0", signed: true, update }, "dns:10.59.7.2");
  const [holder] = [...tableRows(router.state.names)];
  return { before: router.state, after: forkState(router.state), id, record: holder?.records[0]?.id ?? "" };
}

const edit = (state: State, recipe: (name: DnsName) => void): void => void editRow(state.names, NAME, recipe);

/** How a state is broken, and what is then said; of all of it, and of what the commit changed. */
const BROKEN: readonly (readonly [string, string, (state: State, id: string, record: string) => void])[] = [
  [
    "S14",
    "a count of records that is wrong",
    (state, id) => tableSet(state.published, id, { records: 3, characters: 62 }),
  ],
  [
    "S14",
    "a count of a device without any",
    (state) => tableSet(state.published, "d000000000000", { records: 1, characters: 9 }),
  ],
  ["S12", "a record that is not found by its id", (state, _id, record) => tableDelete(state.recordNames, record)],
  ["S12", "an id that leads nowhere", (state) => tableSet(state.recordNames, "r000000000000", NAME)],
  ["S12", "an address that lists a name without it", (state) => tableSet(state.namesAt, "10.59.7.9", [NAME])],
  [
    "S12",
    "an address that does not list its name",
    (state) => {
      tableDelete(state.namesAt, "10.59.7.2");
      edit(state, (name) => (name.revision += 1));
    },
  ],
  ["S12", "a name that went and is listed still", (state) => tableDelete(state.names, NAME)],
  [
    "S13",
    "a record twice",
    (state) => edit(state, (name) => (name.records = name.records.map((each) => ({ ...each, value: "10.59.7.2" })))),
  ],
  [
    "S13",
    "an alias that is not alone",
    (state) =>
      edit(
        state,
        (name) => (name.records = name.records.map((each, at) => (at === 0 ? { ...each, type: "CNAME" } : each))),
      ),
  ],
  [
    "S13",
    "two TTLs for one type",
    (state) => edit(state, (name) => (name.records = name.records.map((each, at) => ({ ...each, ttl: at })))),
  ],
  [
    "S14",
    "a name that its device does not list",
    (state, id) => {
      tableDelete(state.namesOf, id);
      edit(state, (name) => (name.revision += 1));
    },
  ],
  [
    "S14",
    "a record of a device without an end",
    (state) => edit(state, (name) => (name.records = name.records.map((each) => ({ ...each, expiresAt: null })))),
  ],
  ["S14", "names of a device that went", (state, id) => tableDelete(state.devices, id)],
  ["S14", "a zone that is not its device's", (state, id) => tableSet(state.delegations, "other.example", id)],
];

describe("the check of a commit", () => {
  it.each(BROKEN)("%s sees %s", (number, _what, breakIt) => {
    const { before, after, id, record } = named();
    expect(checkInvariants(after, before)).toEqual([]);
    breakIt(after, id, record);
    for (const faults of [checkInvariants(after, before), checkInvariants(after)]) {
      expect(faults).toContainEqual(expect.stringMatching(new RegExp(`^${number} `)));
    }
    expect(tableGet(before.names, NAME)?.records).toHaveLength(2);
  });
});
