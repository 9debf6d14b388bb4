import { tableRows } from "../../../src/lib/table.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Problem } from "../../../src/api/problem.ts";
import type { RecordDocument } from "../../../src/api/schemas/history.ts";
import type { PlanDocument, ResultDocument } from "../../../src/api/schemas/plan.ts";
import { contentHash, stateToJson } from "../../../src/reducers/state-json.ts";
import type { State } from "../../../src/reducers/state.ts";
import { asks, type Call, editsOf, inhabit, KINDS, makeRouter } from "./edits.ts";
import type { Rig } from "./rig.ts";

/** What reconcilers are asked for, by reconciler and key. */
function rowsOf(rig: Rig, state: State): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  for (const { reconciler, select } of rig.deps.desired)
    for (const { key, spec } of select(state).rows()) rows.set(`${reconciler} ${key}`, spec);
  return rows;
}

/** All that a person would call a thing, by the word for it and its key. */
function things(state: State): Map<string, string> {
  const { mappings, devices } = stateToJson(state);
  const byKind = {
    port: mappings,
    device: devices,
    subnet: state.subnets,
    allowance: state.allowances,
    block: state.blocks,
    name: state.allowedNames,
    record: Object.fromEntries(
      [...tableRows(state.names)].flatMap(({ records }) => records.map((record) => [record.id, record])),
    ),
    reconciler: state.pauses,
    token: state.access.tokens,
  };
  const found = new Map<string, string>();
  for (const [kind, rows] of Object.entries(byKind)) {
    for (const [key, row] of Object.entries(rows as object)) found.set(`${kind} ${key}`, JSON.stringify(row));
  }
  return found;
}

/** Which are there, gone or different. */
function differences(before: Map<string, unknown>, after: Map<string, unknown>): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)));
}

/** Ids are made of the request's own random bits, keys and secrets are drawn, and where a decision ends flows its record is named. */
const comparable = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value)
      .replaceAll(/\b[mdnkcr][0-9a-f]{12}\b/g, "ID")
      .replaceAll(/\bs[0-9a-f]{32}\b/g, "SECRET")
      .replaceAll(/[A-Za-z0-9+/]{43}=/g, "KEY")
      .replaceAll(/"decidedAt":\d+/g, '"decidedAt":0'),
  );
const sorted = (rows: readonly unknown[]): unknown[] => rows.map((row) => JSON.stringify(comparable(row))).sort();

/** Plans, does it, and compares; null where it is refused, which the plan says as well. */
async function planned(rig: Rig, { method, path, query = {}, ...options }: Call): Promise<PlanDocument | null> {
  const ask = async <T>(more: object) =>
    await rig.call<T>(method, `/api/v1${path}?${new URLSearchParams({ ...query, ...more }).toString()}`, options);
  const before = rig.controller.state;
  const rows = rowsOf(rig, before);
  const plan = await ask<PlanDocument>({ dryRun: "true" });
  expect(rig.controller.state, "a plan changes nothing").toBe(before);
  const done = await ask<ResultDocument>({});
  expect(done.status < 300, `what is planned is accepted, and what is refused can't be planned: ${done.text}`).toBe(
    plan.status < 300,
  );
  if (done.status >= 300) return null;
  const { body: records } = await rig.call<RecordDocument[]>("GET", `/api/v1/events?after=${before.seq}&limit=1000`);
  const { events, changes, objects } = plan.body;
  expect(comparable(records.map(({ type, v, data }) => ({ type, v, data })))).toEqual(comparable(events));
  const now = rowsOf(rig, rig.controller.state);
  const changed = differences(rows, now);
  expect(
    sorted(changes.map(({ reconciler, key, before: was, after }) => [`${reconciler} ${key}`, was, after])),
  ).toEqual(sorted(changed.map((key) => [key, rows.get(key) ?? null, now.get(key) ?? null])));
  const differ = differences(things(before), things(rig.controller.state));
  expect(sorted(objects.map(({ kind, id }) => `${kind} ${id}`)), "what a person would see").toEqual(sorted(differ));
  return plan.body;
}

/** What the plan said of undoing it is so: it gives back the same, and once more what was done; or it is refused by name. */
async function undone(rig: Rig, before: State, plan: PlanDocument): Promise<"undone" | "refused"> {
  const after = rig.controller.state;
  const revert = async (seq: number) => await rig.call<ResultDocument & Problem>("POST", `/api/v1/revert/${seq}`);
  const { status, body, text } = await revert(before.seq + 1);
  if (!plan.undoable) {
    expect([status, body.code]).toEqual([409, "NOT_UNDOABLE"]);
    if (plan.because?.includes("erased") === true) expect(body.detail).toContain(plan.because);
    return "refused";
  }
  expect(status, text).toBe(200);
  expect(contentHash(rig.controller.state)).toBe(contentHash(before));
  const again = await revert(after.seq + 1);
  // What is done once more is done for good, whatever trial it was the first time.
  const done = { ...after, confirmations: before.confirmations };
  // What it made it had secrets of its own for, and they went with it.
  if (again.body.code === "NOT_UNDOABLE") expect(again.body.detail).toContain("erased");
  else expect([again.status, contentHash(rig.controller.state)]).toEqual([200, contentHash(done)]);
  return "undone";
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}
interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}
interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** What changes something, by the API's own description of itself. */
function routesOf({ paths, components }: OpenApi) {
  return Object.entries(paths).flatMap(([url, methods]) =>
    Object.entries(methods).flatMap(([method, { parameters = [], requestBody }]) => {
      if (method === "get" || method === "head") return [];
      const path = url.replace("/api/v1", "");
      const schema = requestBody?.content["application/json"]?.schema;
      const kinds = (schema?.anyOf ?? [schema]).map((kind) => {
        return kind?.$ref === undefined ? kind : components.schemas[kind.$ref.split("/").at(-1) ?? ""];
      });
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path: new RegExp(`^${path.replaceAll(/\{[a-z]+\}/gi, "[^/]+")}$`),
        plan: parameters.some(({ name }) => name === "dryRun"),
        fields: kinds.flatMap((kind) => Object.keys(kind?.properties ?? {})),
      };
    }),
  );
}

/** They bring or end what lives in memory, and show what is shown once. */
const UNPLANNED = [
  "DELETE /sessions",
  "DELETE /sessions/{id}",
  "POST /config-link/redeem",
  "POST /devices/{id}/config-link",
  "POST /devices/{id}/dns-key",
  "POST /sessions",
  "POST /sign-in-link",
  "POST /sign-in-link/redeem",
  "POST /totp/enrolment",
];
/** They make no command: their plan is what a pass would do, or nothing. */
const UNLOGGED = ["POST /reconcilers/{name}/run", "POST /reconcilers/{name}/release-brake", "POST /snapshots"];

const PICKS = 6;

describe("a plan", () => {
  it.each(KINDS)("[E4] [E5] of %s equals what it then does, and what it says of undoing it is so", async (kind) => {
    const rig = await makeRouter();
    await inhabit(rig);
    for (const [variant, edit] of editsOf(kind).entries()) {
      let compared = 0;
      for (let pick = 0; pick < PICKS; pick += 1) {
        const call = await edit(rig, pick);
        const before = rig.controller.state;
        const plan = call === null ? null : await planned(rig, call);
        if (plan === null || plan.events.length === 0) continue;
        compared += 1;
        await undone(rig, before, plan);
      }
      expect(compared, `edit ${variant} of ${kind}`).toBeGreaterThan(0);
    }
  });

  it("[E4] is there for every route of the API that changes something, and each is compared with all that it takes", async () => {
    const rig = await makeRouter();
    await inhabit(rig);
    const { body: api } = await rig.call<OpenApi>("GET", "/openapi.json");
    const routes = routesOf(api);
    const unplanned = routes.filter(({ plan }) => !plan).map(({ name }) => name);
    expect(unplanned.sort()).toEqual(UNPLANNED);
    const asked = new Map<string, Set<string>>();
    for (const kind of KINDS) {
      for (const edit of editsOf(kind)) {
        for (let pick = 0; pick < PICKS; pick += 1) {
          const call = await edit(rig, pick);
          if (call === null) continue;
          const { name } = routes.find(({ method, path }) => method === call.method && path.test(call.path)) ?? {};
          const fields = asked.get(name ?? call.path) ?? new Set();
          asked.set(name ?? call.path, fields);
          for (const field of Object.keys(call.body ?? {})) fields.add(field);
        }
      }
    }
    const compared = routes.filter(({ name, plan }) => plan && !UNLOGGED.includes(name));
    expect([...asked].map(([name, fields]) => `${name}: ${[...fields].sort().join(" ")}`).sort()).toEqual(
      compared.map(({ name, fields }) => `${name}: ${fields.toSorted().join(" ")}`).sort(),
    );
  });

  it("[E4] [E5] of any edit after any history equals what it then does, and can be undone as it says", async () => {
    const step = fc.record({
      kind: fc.constantFrom(...KINDS, "asks" as const),
      variant: fc.nat(),
      pick: fc.nat({ max: 50 }),
    });
    const count = { undone: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 12 }), async (steps) => {
        const rig = await makeRouter();
        for (const { kind, variant, pick } of steps) {
          if (kind === "asks") {
            await asks(rig, 2000 + (pick % 4));
            continue;
          }
          const edits = editsOf(kind);
          const call = (await edits[variant % edits.length]?.(rig, pick)) ?? null;
          const before = rig.controller.state;
          const plan = call === null ? null : await planned(rig, call);
          if (plan !== null && plan.events.length > 0) count[await undone(rig, before, plan)] += 1;
        }
      }),
      { numRuns: 25 },
    );
    expect(count.undone).toBeGreaterThan(20);
    expect(count.refused).toBeGreaterThan(3);
  }, 60_000);
});
