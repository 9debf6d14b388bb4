import { beforeEach, describe, expect, it } from "vitest";
import type { ConfirmationDocument } from "../../../src/api/schemas/change.ts";
import type { RecordDocument } from "../../../src/api/schemas/history.ts";
import type { PlanDocument, ResultDocument } from "../../../src/api/schemas/plan.ts";
import type { Problem } from "../../../src/api/problem.ts";
import type { StatusDocument } from "../../../src/api/schemas/status.ts";
import { Confirmations } from "../../../src/controller/confirmations.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import { asDevice, makeRig, type Rig, WEB } from "./rig.ts";

type Reverted = ResultDocument & { readonly reverts: number };

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});

const post = <T>(path: string, body?: object) =>
  rig.call<T>("POST", `/api/v1${path}`, body === undefined ? {} : { body });
const add = async (query = "") => (await post<ResultDocument>(`/ports${query}`, WEB)).body;
const lastRecord = async () => (await rig.call<RecordDocument[]>("GET", "/api/v1/events?limit=1")).body[0];

describe("undo", () => {
  it("[E5] takes the last change of an operator back, and once more brings it back", async () => {
    await asDevice(rig);
    const before = contentHash(rig.controller.state);
    const { seq } = await add();
    const after = contentHash(rig.controller.state);
    const { status, body } = await post<Reverted>("/undo");
    expect([status, body.reverts, body.changed]).toEqual([200, seq, true]);
    expect(contentHash(rig.controller.state)).toBe(before);
    expect(await lastRecord()).toMatchObject({ type: "lease.released", source: "api:socket", causedBy: seq });
    expect((await post<Reverted>("/undo")).body.reverts).toBe(body.seq);
    expect(contentHash(rig.controller.state)).toBe(after);
  });

  it("[E5] gives a route back that nobody leads now, and says so", async () => {
    const { body } = await post<ResultDocument>("/routes", {
      name: "a.example.org",
      externalPort: 443,
      internalAddress: WEB.internalAddress,
    });
    expect(body.notes).toEqual([]);
    const { status } = await rig.call("DELETE", `/api/v1/ports/${body.port?.id}`);
    expect(status).toBe(200);
    const deps = rig.deps as { sharesPorts: () => boolean };
    deps.sharesPorts = () => false;
    const undone = (await post<Reverted>("/undo")).body;
    expect(undone.port).toMatchObject({ name: "a.example.org", enabled: true });
    expect(undone.notes).toEqual([expect.stringMatching(/^a\.example\.org leads nowhere yet: HAProxy.*install/)]);
    await rig.call("DELETE", `/api/v1/ports/${body.port?.id}`);
    deps.sharesPorts = () => true;
    expect((await post<Reverted>("/undo")).body.notes).toEqual([]);
  });

  it("[E5] says so when nothing was ever changed by an operator", async () => {
    await asDevice(rig);
    const { status, body } = await post<Problem>("/undo");
    expect([status, body.code]).toEqual([404, "NOT_FOUND"]);
  });

  it("[E5] is a mutation like others: planned, repeated under its key, bound to a record", async () => {
    const { seq } = await add();
    const plan = (await post<PlanDocument & { reverts: number }>("/undo?dryRun=true")).body;
    expect(plan).toMatchObject({
      dryRun: true,
      reverts: seq,
      objects: [{ op: "remove", kind: "port", name: "8443/tcp" }],
      undoable: true,
    });
    expect(rig.controller.state.seq).toBe(seq);
    const headers = { "if-match": String(seq - 1) };
    expect((await rig.call<Problem>("POST", "/api/v1/undo", { headers })).body.code).toBe("LOG_REVISION_CONFLICT");
  });

  it("[E5] reverts any record's change, a device's too, and names what depends on it", async () => {
    await asDevice(rig);
    const { seq } = rig.controller.state;
    const id = (await rig.ports())[0]?.id as string;
    await post(`/ports/${id}/keep`);
    const refused = await post<Problem>(`/revert/${seq}`);
    expect([refused.status, refused.body.code]).toEqual([409, "UNDO_CONFLICT"]);
    expect(refused.body.detail).toContain(`record ${seq + 1} (lease.granted by api:socket)`);
    expect(refused.body.conflicts).toEqual([`${seq + 1}`]);
    await post(`/revert/${seq + 1}`);
    expect((await post<Reverted>(`/revert/${seq}`)).status).toBe(200);
    expect(await rig.ports()).toEqual([]);
    expect((await post<Problem>("/revert/1")).body.code).toBe("NOT_UNDOABLE");
    expect((await post<Problem>("/revert/999")).body.code).toBe("NOT_FOUND");
  });
});

describe("a plan", () => {
  it("[E4] says in words what changes, of what rows, and whether it can be undone", async () => {
    const { port } = await add();
    const path = `/api/v1/ports/${port?.id}?dryRun=true`;
    const { body } = await rig.call<PlanDocument>("PATCH", path, { body: { label: "site", enabled: false } });
    expect(body.objects).toEqual([
      {
        op: "change",
        kind: "port",
        id: port?.id,
        name: "8443/tcp",
        fields: [
          { field: "label", before: "web", after: "site" },
          { field: "is", before: "open", after: "closed" },
        ],
      },
    ]);
    expect(body.changes.map(({ op, key }) => `${op} ${key}`)).toContain("delete forward|11.22.33.1|tcp|8443");
    expect([body.undoable, body.because]).toEqual([true, null]);
  });

  it("[E4] tells what the kernel, asked beforehand, would refuse", async () => {
    const [source] = rig.deps.desired;
    const error = { code: "EEXIST", message: "interval overlaps", disposition: "terminal" } as const;
    Object.assign(source as object, {
      rehearse: () => Promise.resolve([{ key: "forward|11.22.33.1|tcp|8443", ok: false, error }]),
    });
    const { checks } = (await post<PlanDocument>("/ports?dryRun=true", WEB)).body;
    expect(checks).toEqual([
      {
        reconciler: "nftables-forwards",
        refused: [{ key: "forward|11.22.33.1|tcp|8443", code: "EEXIST", message: "interval overlaps" }],
        unchecked: null,
      },
    ]);
  });
});

describe("a change on trial", () => {
  const confirmations = () =>
    new Confirmations({
      controller: rig.controller,
      past: rig.deps.history,
      clock: rig.clock,
      onFault: (cause) => {
        throw cause;
      },
    });
  const settled = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    await rig.controller.idle();
  };

  it("[E5] is taken back at its deadline, and is listed until then", async () => {
    const watch = confirmations();
    await watch.start();
    const before = contentHash(rig.controller.state);
    const { confirmation, port, seq } = await add("?confirmWithin=60");
    const until = new Date(rig.clock.now() + 60_000).toISOString();
    expect(confirmation?.until).toBe(until);
    const { body } = await rig.call<StatusDocument>("GET", "/api/v1/status");
    const waiting = { id: confirmation?.id, until, objects: [{ kind: "port", id: port?.id, name: "8443/tcp" }] };
    expect(body.confirmations).toMatchObject([waiting]);
    expect((await rig.call<ConfirmationDocument[]>("GET", "/api/v1/confirmations")).body).toMatchObject([waiting]);
    rig.clock.advance(59_999);
    await settled();
    expect(await rig.ports()).toHaveLength(1);
    rig.clock.advance(1);
    await watch.close();
    expect(await rig.ports()).toEqual([]);
    expect(contentHash(rig.controller.state)).toBe(before);
    const last = await lastRecord();
    expect(last).toMatchObject({
      type: "confirmation.lapsed",
      source: "clock",
      data: { id: confirmation?.id, kept: [] },
    });
    const again = await post<Problem>(`/revert/${seq}`);
    expect(again.body.detail).toBe(
      `record ${(last?.seq ?? 0) - 3} was undone already, by record ${(last?.seq ?? 0) - 1}, as nobody confirmed it in time`,
    );
  });

  it("[E5] stays for good once it is confirmed", async () => {
    const watch = confirmations();
    await watch.start();
    const { confirmation } = await add("?confirmWithin=60");
    expect((await post(`/confirmations/${confirmation?.id}/confirm`)).status).toBe(200);
    rig.clock.advance(120_000);
    await watch.close();
    expect(await rig.ports()).toHaveLength(1);
    const again = await post<Problem>(`/confirmations/${confirmation?.id}/confirm`);
    expect([again.status, again.body.code]).toEqual([404, "NOT_FOUND"]);
  });

  it("[E5] keeps others from its objects, but may be taken back at once", async () => {
    const { confirmation, port } = await add("?confirmWithin=60");
    const edit = { body: { label: "other" } };
    const refused = await rig.call<Problem>("PATCH", `/api/v1/ports/${port?.id}`, edit);
    expect([refused.status, refused.body.code]).toEqual([409, "CONFIRMATION_PENDING"]);
    expect(refused.body.detail).toContain(`portreeve confirm ${confirmation?.id}`);
    expect((await post<Reverted>("/undo")).status).toBe(200);
    expect(rig.controller.state.confirmations).toEqual({});
    expect(await rig.ports()).toEqual([]);
  });

  it("[E5] is taken back from a device that opened ports by it, as nobody else has said yes to them", async () => {
    const nas = { name: "nas", kind: "server", interface: "lan0", address: "192.168.77.2" };
    const lapse = async () => {
      const watch = confirmations();
      await watch.start();
      rig.clock.advance(60_000);
      await watch.close();
      expect(rig.controller.state.confirmations).toEqual({});
    };
    const before = contentHash(rig.controller.state);
    await post("/devices?confirmWithin=60", nas);
    await asDevice(rig);
    await lapse();
    expect([rig.controller.state.devices.size, await rig.ports()]).toEqual([0, []]);
    expect(contentHash(rig.controller.state)).toBe(before);

    const { device } = (await post<ResultDocument>("/devices", { ...nas, kind: "client" })).body;
    const allow = () =>
      rig.call("PATCH", `/api/v1/devices/${device?.id}?confirmWithin=60`, { body: { ports: "auto" } });
    await allow();
    await asDevice(rig);
    await lapse();
    expect(await rig.ports()).toEqual([]);
    await allow();
    await asDevice(rig);
    await post(`/ports/${(await rig.ports())[0]?.id}/keep`);
    await lapse();
    expect(
      (await rig.ports())[0]?.claims.map(({ source }) => source),
      "an operator's yes stays",
    ).toEqual(["manual"]);
    expect((await rig.call<{ rights: object }>("GET", `/api/v1/devices/${device?.id}`)).body.rights).toMatchObject({
      ports: "off",
    });
  });

  it("[E5] can't be taken back on trial: nobody would have confirmed what that would leave", async () => {
    await add("?confirmWithin=60");
    const refused = await post<Problem>("/undo?confirmWithin=60");
    expect([refused.status, refused.body.code]).toEqual([409, "CONFIRMATION_PENDING"]);
    const watch = confirmations();
    await watch.start();
    rig.clock.advance(60_000);
    await watch.close();
    expect(await rig.ports()).toEqual([]);
  });

  it("[E5] is another request than the same for good, under the same key too", async () => {
    const headers = { "idempotency-key": "trial" };
    const ask = (query: string) =>
      rig.call<ResultDocument & Problem>("POST", `/api/v1/ports${query}`, { body: WEB, headers });
    expect((await ask("")).status).toBe(201);
    expect((await ask("?confirmWithin=60")).status).toBe(422);
    expect((await ask("")).headers["idempotency-replayed"]).toBe("true");
  });

  it("[E5] is taken back before anything else by a start after its deadline", async () => {
    const { confirmation } = await add("?confirmWithin=60");
    rig.clock.advance(61_000);
    const watch = confirmations();
    await watch.start();
    expect(await rig.ports()).toEqual([]);
    expect(await lastRecord()).toMatchObject({ type: "confirmation.lapsed", data: { id: confirmation?.id } });
    await watch.close();
  });

  it("[E5] gives back what it can where a device has taken its place meanwhile, and says what stays", async () => {
    const watch = confirmations();
    await watch.start();
    await asDevice(rig);
    const [port] = await rig.ports();
    await rig.call("DELETE", `/api/v1/ports/${port?.id}?confirmWithin=60`);
    await asDevice(rig);
    rig.clock.advance(60_000);
    await watch.close();
    expect(await rig.ports()).toHaveLength(1);
    expect(await lastRecord()).toMatchObject({
      type: "confirmation.lapsed",
      data: { kept: [expect.stringContaining("8080/tcp goes to 192.168.77.2:8080 now")] },
    });
  });

  it("[E5] can't be what could not be undone, and the plan says so beforehand", async () => {
    await post("/tokens", { name: "backup", scopes: ["read"], lifetime: null });
    const [token] = (await rig.call<{ id: string }[]>("GET", "/api/v1/tokens")).body;
    const path = `/api/v1/tokens/${token?.id}`;
    const plan = await rig.call<PlanDocument>("DELETE", `${path}?dryRun=true`);
    expect(plan.body).toMatchObject({ undoable: false, because: "the secret of backup is erased with it" });
    const trial = await rig.call<Problem>("DELETE", `${path}?confirmWithin=60`);
    expect([trial.status, trial.body.code]).toEqual([409, "NOT_UNDOABLE"]);
    expect((await rig.call("DELETE", path)).status).toBe(200);
    const undone = await post<Problem>("/undo");
    expect([undone.status, undone.body.code]).toEqual([409, "NOT_UNDOABLE"]);
    expect(undone.body.detail).toContain("the secret of backup is erased with it");
    for (const none of ["0", "0x3c", "6e1", "%2060", "60.0", "86401"]) {
      expect((await post<Problem>(`/ports?confirmWithin=${none}`, WEB)).body.code, none).toBe("INVALID_REQUEST");
    }
  });
});
