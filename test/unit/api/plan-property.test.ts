import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RecordDocument } from "../../../src/api/schemas/history.ts";
import type { PlanDocument, ResultDocument } from "../../../src/api/schemas/plan.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { stateToJson } from "../../../src/reducers/state-json.ts";
import type { State } from "../../../src/reducers/state.ts";
import { INSTANCE, makeRig, type Rig } from "./rig.ts";

const VERBS = ["add", "edit", "disable", "enable", "keep", "block", "remove", "map", "undo", "pause"] as const;
interface Edit {
  readonly verb: (typeof VERBS)[number];
  readonly pick: number;
}
const edit: fc.Arbitrary<Edit> = fc.record({ verb: fc.constantFrom(...VERBS), pick: fc.nat({ max: 50 }) });

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

async function callOf(rig: Rig, { verb, pick }: Edit): Promise<Call | null> {
  const port = 2000 + (pick % 4);
  if (verb === "add") {
    const body = { protocol: "tcp", externalPort: port, internalAddress: `192.168.77.${2 + (pick % 3)}` };
    return { method: "POST", path: "/ports", body };
  }
  if (verb === "undo") return { method: "POST", path: "/undo" };
  if (verb === "pause")
    return { method: "POST", path: "/reconcilers/nftables-forwards/pause", body: { seconds: 60 + pick } };
  const ports = await rig.ports();
  const id = ports[pick % Math.max(1, ports.length)]?.id;
  if (id === undefined) return null;
  switch (verb) {
    case "remove":
      return { method: "DELETE", path: `/ports/${id}` };
    case "keep":
    case "block":
      return { method: "POST", path: `/ports/${id}/${verb}` };
    case "edit":
      return { method: "PATCH", path: `/ports/${id}`, body: { label: `l${pick % 3}`, externalPort: port } };
    default:
      return { method: "PATCH", path: `/ports/${id}`, body: { enabled: verb === "enable" } };
  }
}

const rowsOf = (rig: Rig): Map<string, unknown> =>
  new Map([...selectForwards(INSTANCE)(rig.controller.state).rows()].map(({ key, spec }) => [key, spec]));

function visible(state: State): string {
  const { mappings, blocks, pauses } = stateToJson(state);
  return JSON.stringify([mappings, blocks, pauses]);
}

/** Ids are made of the request's own random bits, and where a decision ends flows its record is named. */
const comparable = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value)
      .replaceAll(/m[0-9a-f]{12}/g, "ID")
      .replaceAll(/"decidedAt":\d+/g, '"decidedAt":0'),
  );

async function play(rig: Rig, each: Edit): Promise<{ planned: PlanDocument | null; events: RecordDocument[] }> {
  if (each.verb === "map") {
    const internalPort = 2000 + (each.pick % 4);
    const { mapRequest } = await import("../reducers/given.ts");
    await rig.submit(mapRequest({ internalPort, suggestedPort: internalPort }), "pcp:192.168.77.2").catch(() => {});
    return { planned: null, events: [] };
  }
  const call = await callOf(rig, each);
  if (call === null) return { planned: null, events: [] };
  const { method, path, ...options } = call;
  const before = rig.controller.state;
  const planned = await rig.call<PlanDocument>(method, `/api/v1${path}?dryRun=true`, options);
  expect(rig.controller.state, "a plan changes nothing").toBe(before);
  const done = await rig.call<ResultDocument>(method, `/api/v1${path}`, options);
  expect(done.status < 300, "what is planned is accepted, and what is refused can't be planned").toBe(
    planned.status < 300,
  );
  if (done.status >= 300) return { planned: null, events: [] };
  const { body } = await rig.call<RecordDocument[]>("GET", `/api/v1/events?after=${before.seq}`);
  return { planned: planned.body, events: body };
}

describe("a plan", () => {
  it("[E4] of any edit equals what the edit then does: events, rows, and what is said of it", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 10 }), async (edits) => {
        const rig = await makeRig();
        for (const each of edits) {
          const [state, rows] = [rig.controller.state, rowsOf(rig)];
          const { planned, events } = await play(rig, each);
          if (planned === null) continue;
          compared += 1;
          expect(comparable(events.map(({ type, v, data }) => ({ type, v, data })))).toEqual(
            comparable(planned.events),
          );
          const now = rowsOf(rig);
          const changed = [...new Set([...rows.keys(), ...now.keys()])].filter((key) => {
            return JSON.stringify(rows.get(key)) !== JSON.stringify(now.get(key));
          });
          expect(planned.changes.map(({ key }) => key).sort()).toEqual(changed.sort());
          for (const { key, before, after } of planned.changes) {
            expect(comparable([before, after])).toEqual(comparable([rows.get(key) ?? null, now.get(key) ?? null]));
          }
          const differs = visible(state) !== visible(rig.controller.state);
          expect(planned.objects.length > 0, "something a person would see").toBe(differs);
        }
      }),
      { numRuns: 40 },
    );
    expect(compared).toBeGreaterThan(60);
  }, 60_000);
});
