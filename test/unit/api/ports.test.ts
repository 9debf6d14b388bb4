import { beforeEach, describe, expect, it } from "vitest";
import type { PlanDocument, ResultDocument } from "../../../src/api/schemas/plan.ts";
import type { Port } from "../../../src/api/schemas/port.ts";
import type { Provenance } from "../../../src/api/schemas/provenance.ts";
import type { Problem } from "../../../src/api/problem.ts";
import { T0 } from "../reducers/given.ts";
import { asDevice, FORWARDS, makeRig, type Rig, WEB } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});

const add = (body: object = WEB, headers: Record<string, string> = {}, query = "") =>
  rig.call<ResultDocument>("POST", `/api/v1/ports${query}`, { body, headers });
const problem = async (...call: Parameters<Rig["call"]>) => await rig.call<Problem>(...call);

describe("a port made by hand", () => {
  it("[F1] [A4] is answered as the contract has it once it is effective", async () => {
    const { status, body, headers } = await add();
    expect(status).toBe(201);
    expect(headers["portreeve-seq"]).toBe("4");
    expect(body).toEqual({
      notes: [],
      record: null,
      seq: 4,
      changed: true,
      ports: [body.port],
      port: {
        id: expect.stringMatching(/^m[0-9a-f]{12}$/) as string,
        protocol: "tcp",
        external: { address: "11.22.33.1", port: 8443 },
        internal: { address: "192.168.77.2", port: 443 },
        count: 1,
        wan: "wan0",
        source: "manual",
        claims: [{ source: "manual", device: null, expiresAt: null, peers: [], description: null, enabled: true }],
        device: { id: "192.168.77.2@lan0", name: "192.168.77.2" },
        label: "web",
        name: null,
        managedBy: null,
        enabled: true,
        sourceAddress: "keep",
        from: [],
        expiresAt: null,
        sync: "synced",
        error: null,
        revision: 4,
        observedRevision: 4,
        conditions: [
          {
            type: "Synced",
            status: "True",
            reason: "SYNCED",
            message: "the kernel forwards it",
            since: new Date(T0).toISOString(),
            observedRevision: 4,
          },
        ],
      },
      subnet: null,
      device: null,
      confirmation: null,
    });
  });

  it("has the external port inside as well unless another is named, and ends when its lifetime does", async () => {
    const { body } = await add({
      protocol: "udp",
      externalPort: 4000,
      internalAddress: "192.168.77.2",
      lifetime: 7200,
    });
    expect(body.port).toMatchObject({ internal: { port: 4000 }, expiresAt: new Date(T0 + 7_200_000).toISOString() });
  });

  it("[F4] is edited, disabled, enabled and removed by its id", async () => {
    const id = (await add()).body.port?.id as string;
    const patch = (body: object) => rig.call<ResultDocument>("PATCH", `/api/v1/ports/${id}`, { body });
    expect((await patch({ externalPort: 9443, label: null })).body.port).toMatchObject({
      external: { port: 9443 },
      label: null,
    });
    expect((await patch({ enabled: false })).body.port).toMatchObject({ enabled: false, sync: "synced" });
    expect((await patch({ enabled: false })).body).toMatchObject({ changed: false });
    expect((await patch({ enabled: true })).body.port).toMatchObject({ enabled: true });
    expect((await rig.call("DELETE", `/api/v1/ports/${id}`)).body).toMatchObject({ changed: true, port: null });
    expect((await problem("DELETE", `/api/v1/ports/${id}`)).status).toBe(404);
    expect(await rig.ports()).toEqual([]);
  });

  it("[F3] that is another's is refused with the owner and its id", async () => {
    const id = (await add()).body.port?.id;
    const { status, headers, body } = await problem("POST", "/api/v1/ports", {
      body: { ...WEB, internalAddress: "192.168.77.3" },
    });
    expect(status).toBe(409);
    expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(body).toMatchObject({
      code: "PORT_TAKEN",
      status: 409,
      title: "Conflict",
      conflicts: [id],
      type: "/docs#PORT_TAKEN",
    });
    expect(body.detail).toContain("web");
  });

  it("with a body that does not fit is refused with every fault, and changes nothing", async () => {
    const { status, body } = await problem("POST", "/api/v1/ports", {
      body: { protocol: "sctp", externalPort: 0, foo: 1 },
    });
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: "INVALID_REQUEST" });
    for (const part of ["protocol", "externalPort", "internalAddress", "foo"]) expect(body.detail).toContain(part);
    expect(rig.controller.state.seq).toBe(3);
  });
});

describe("a port that a device asked for", () => {
  it("[F2] [A4] shows the claim, and its live deadline after a renewal", async () => {
    await asDevice(rig);
    rig.clock.advance(600_000);
    await asDevice(rig);
    const [port] = await rig.ports();
    const end = new Date(T0 + 600_000 + 3_600_000).toISOString();
    expect(port).toMatchObject({
      source: "pcp",
      claims: [{ source: "pcp", device: "192.168.77.2", expiresAt: end }],
      expiresAt: end,
    });
    expect(rig.controller.state.seq, "a renewal is no event").toBe(4);
  });

  it("[F2] is kept, then blocked; a block is listed and lifted", async () => {
    await asDevice(rig);
    const [port] = await rig.ports();
    const path = `/api/v1/ports/${port?.id}`;
    const kept = await rig.call<ResultDocument>("POST", `${path}/keep`);
    expect(kept.body.port).toMatchObject({
      expiresAt: null,
      source: "pcp",
      claims: [{ source: "pcp" }, { source: "manual" }],
    });
    expect((await rig.call("POST", `${path}/block`)).body).toMatchObject({ port: null });
    const block = { device: "192.168.77.2", protocol: "tcp", internalPort: 8080 };
    expect((await rig.call("GET", "/api/v1/blocks")).body).toEqual([{ ...block, since: new Date(T0).toISOString() }]);
    expect((await rig.call("POST", "/api/v1/blocks/lift", { body: block })).status).toBe(200);
    expect((await problem("POST", "/api/v1/blocks/lift", { body: block })).body.code).toBe("NOT_FOUND");
  });
});

describe("the list of ports", () => {
  beforeEach(async () => {
    await add({ protocol: "udp", externalPort: 9000, count: 10, internalAddress: "192.168.77.3" });
    await add();
    await add({ ...WEB, protocol: "udp" });
  });

  const numbers = async (query: string) =>
    (await rig.call<Port[]>("GET", `/api/v1/ports${query}`)).body.map(
      (port) => `${port.external.port}/${port.protocol}`,
    );

  it("is by number, tcp before udp", async () => {
    expect(await numbers("")).toEqual(["8443/tcp", "8443/udp", "9000/udp"]);
  });

  it("is filtered by external port, which a range holds too, by protocol, external and internal address", async () => {
    expect(await numbers("?port=8443")).toEqual(["8443/tcp", "8443/udp"]);
    expect(await numbers("?port=9009&protocol=udp")).toEqual(["9000/udp"]);
    expect(await numbers("?port=9010")).toEqual([]);
    expect(await numbers("?address=11.22.33.9")).toEqual([]);
    expect(await numbers("?address=11.22.33.1&device=192.168.77.3")).toEqual(["9000/udp"]);
  });

  it("refuses a filter it does not know, instead of showing everything", async () => {
    expect((await problem("GET", "/api/v1/ports?prot=tcp")).body).toMatchObject({ code: "INVALID_REQUEST" });
  });
});

describe("what became of a port in the kernel", () => {
  const key = "forward|11.22.33.1|tcp|8443";
  const error = { code: "EPERM", message: "operation not permitted", disposition: "transient" } as const;

  it("[A4] is an error in words when a row of it failed, and pending when a row was not tried at this revision", async () => {
    await add();
    rig.reconciler.statuses.set(key, { kind: "error", revision: 4, attempts: 2, retryAt: T0 + 3000, error, since: T0 });
    const [failed] = await rig.ports();
    expect(failed).toMatchObject({ sync: "error", conditions: [{ status: "False", reason: "EPERM" }] });
    expect(failed?.error).toBe(
      `${FORWARDS} could not apply it: operation not permitted (EPERM); tried 2 times, again in 3 s`,
    );
    rig.reconciler.statuses.set(key, { kind: "done", revision: 3, attempts: 0, retryAt: null, error: null, since: T0 });
    expect((await rig.ports())[0]).toMatchObject({ sync: "pending", error: null, observedRevision: 3 });
  });

  it("is an error when a row it no longer wants cannot be deleted", async () => {
    const id = (await add()).body.port?.id;
    rig.reconciler.statuses.set(key, { kind: "error", revision: 0, attempts: 1, retryAt: null, error, since: T0 });
    await rig.call("PATCH", `/api/v1/ports/${id}`, { body: { enabled: false } });
    expect((await rig.ports())[0]).toMatchObject({ enabled: false, sync: "error" });
  });

  it("is pending while the WAN has no address", async () => {
    await add();
    await rig.submit({ type: "interface.observe", name: "wan0", up: true, addresses: [], gateway: null });
    expect((await rig.ports())[0]).toMatchObject({
      external: { address: null },
      sync: "pending",
      conditions: [{ reason: "NO_EXTERNAL_ADDRESS", status: "Unknown" }],
    });
  });

  it("[A7] is told by `why`: claims with the records that made them, rows with their state", async () => {
    await asDevice(rig);
    const id = (await rig.ports())[0]?.id;
    await rig.call("POST", `/api/v1/ports/${id}/keep`);
    const { body } = await rig.call<Provenance>("GET", `/api/v1/why/port/${id}`);
    expect(body.claims.map(({ key, seq, by }) => ({ key, seq, by }))).toEqual([
      { key: "pcp:0102030405060708090a0b0c", seq: 4, by: "pcp:192.168.77.2" },
      { key: "manual", seq: 5, by: "api:socket" },
    ]);
    expect(body.events.map(({ type }) => type)).toEqual(["mapping.granted", "lease.granted"]);
    expect(body.rows.map((row) => [row.key, row.status, row.owners])).toEqual([
      ["forward|11.22.33.1|tcp|8080", "done", [id]],
      ["outbound|192.168.77.2|tcp|8080", "done", [id]],
      ["ours|tcp|8080", "done", [id]],
    ]);
    expect((await problem("GET", "/api/v1/why/port/m000000000000")).status).toBe(404);
  });
});

describe("a mutation", () => {
  it("[A4] with dryRun answers events and rows and changes nothing", async () => {
    const { status, body } = await rig.call<PlanDocument>("POST", "/api/v1/ports?dryRun=true", { body: WEB });
    expect(status).toBe(200);
    expect(body).toMatchObject({ dryRun: true, seq: 3, events: [{ type: "mapping.granted", v: 4 }] });
    expect(body.changes.map(({ op, key }) => `${op} ${key}`)).toEqual([
      "create forward|11.22.33.1|tcp|8443",
      "create ours|tcp|8443",
      "create outbound|192.168.77.2|tcp|443",
    ]);
    expect(rig.controller.state.seq).toBe(3);
    expect(rig.deps.requestLog.list()).toEqual([]);
  });

  it("with dryRun is refused as the real one would be", async () => {
    expect((await problem("POST", "/api/v1/ports?dryRun=true", { body: { ...WEB, externalPort: 22 } })).body.code).toBe(
      "PORT_PROTECTED",
    );
    expect((await problem("POST", "/api/v1/ports?dryrun=true", { body: WEB })).status, "a misspelt dryRun").toBe(400);
    expect(rig.controller.state.seq).toBe(3);
  });

  it("with If-Match is refused once the log has moved on", async () => {
    expect((await add(WEB, { "if-match": '"3"' })).status).toBe(201);
    const stale = await problem("POST", "/api/v1/ports", {
      body: { ...WEB, externalPort: 1 },
      headers: { "if-match": "3" },
    });
    expect(stale).toMatchObject({ status: 409, body: { code: "LOG_REVISION_CONFLICT" } });
    expect((await add(WEB, { "if-match": "abc" })).status).toBe(400);
  });

  it("[E1] with an Idempotency-Key is done once, also when it is repeated at the same time", async () => {
    const headers = { "idempotency-key": "k-1" };
    const [first, second] = await Promise.all([add(WEB, headers), add(WEB, headers)]);
    const third = await add(WEB, headers);
    expect(second.body).toEqual(first.body);
    expect(third.body).toEqual(first.body);
    expect(third.headers["idempotency-replayed"]).toBe("true");
    expect(rig.controller.state.seq).toBe(4);
    const other = await problem("POST", "/api/v1/ports", { body: { ...WEB, externalPort: 1 }, headers });
    expect(other).toMatchObject({ status: 422, body: { code: "INVALID_REQUEST" } });
  });

  it("that the kernel refused is withdrawn, and its repetition is refused again instead of being called a success", async () => {
    rig.effect = () => ({ kind: "refused", message: "no space left in the set" });
    const headers = { "idempotency-key": "k-2" };
    const first = await problem("POST", "/api/v1/ports", { body: WEB, headers });
    expect(first).toMatchObject({ status: 503, body: { code: "APPLY_FAILED" }, headers: { "retry-after": "30" } });
    expect(await rig.ports()).toEqual([]);
    rig.effect = () => ({ kind: "effective" });
    expect(await problem("POST", "/api/v1/ports", { body: WEB, headers })).toMatchObject({
      status: 503,
      body: { code: "NOT_SETTLED" },
    });
    expect(await rig.ports()).toEqual([]);
  });

  it("with wait=false answers 202 before the kernel agrees", async () => {
    rig.settle = () => new Promise(() => {});
    expect((await add(WEB, {}, "?wait=false")).status).toBe(202);
  });

  it("is refused while nothing can be promised", async () => {
    rig.controller.enter("safe");
    expect(await problem("POST", "/api/v1/ports", { body: WEB })).toMatchObject({
      status: 503,
      body: { code: "NOT_READY" },
    });
  });

  it("[A4] is in the request log with its decision", async () => {
    await add();
    await add({ ...WEB, internalAddress: "192.168.77.3" });
    const { body } = await rig.call<Record<string, unknown>[]>("GET", "/api/v1/requests");
    expect(body).toMatchObject([
      { from: "socket", protocol: "api", decision: "refused", code: "PORT_TAKEN" },
      { decision: "granted", code: null, request: "port add tcp 8443 → 192.168.77.2:443" },
    ]);
    expect((await rig.call<unknown[]>("GET", "/api/v1/requests?decision=granted")).body).toHaveLength(1);
  });
});

describe("reading with ?wait", () => {
  it("answers once the record is settled, and 503 if it is not in time", async () => {
    const asked: number[] = [];
    rig.settle = (seq) => {
      asked.push(seq);
      return seq > 3 ? Promise.reject(new Error("aborted")) : Promise.resolve();
    };
    expect((await rig.call("GET", "/api/v1/ports?wait=3")).status).toBe(200);
    expect(await problem("GET", "/api/v1/status?wait=4")).toMatchObject({ status: 503, body: { code: "NOT_SETTLED" } });
    expect(asked).toEqual([3, 4]);
  });
});

describe("several changes of ports at once", () => {
  const batch = (changes: readonly object[], query = "", headers: Record<string, string> = {}) =>
    rig.call<ResultDocument>("POST", `/api/v1/ports/batch${query}`, { body: { changes }, headers });
  const [tcp, udp] = (["tcp", "udp"] as const).map((protocol) => ({ op: "add", ...WEB, protocol })) as [object, object];

  it("[F1] are one change, with all their ports in the answer; a repetition is told the same", async () => {
    const made = await batch([tcp, udp], "", { "idempotency-key": "both" });
    expect([made.status, made.body.seq, made.body.ports.map(({ protocol }) => protocol)]).toEqual([
      201,
      5,
      ["tcp", "udp"],
    ]);
    const again = await batch([tcp, udp], "", { "idempotency-key": "both" });
    expect([again.body.seq, again.headers["idempotency-replayed"]]).toEqual([5, "true"]);
    const [first, second] = made.body.ports;
    const edited = await batch([
      { op: "edit", id: first?.id, externalPort: 9443 },
      { op: "remove", id: second?.id },
      { op: "add", ...WEB, protocol: "udp" },
    ]);
    expect(edited.body.ports.map(({ protocol, external }) => `${external.port}/${protocol}`)).toEqual([
      "9443/tcp",
      "8443/udp",
    ]);
    await rig.call("POST", "/api/v1/undo");
    expect((await rig.ports()).map(({ id }) => id).sort()).toEqual(made.body.ports.map(({ id }) => id).sort());
  });

  it("[F3] change nothing at all where one of them cannot be, and say why in its words", async () => {
    await add({ ...WEB, protocol: "udp", internalAddress: "192.168.77.3" });
    const { seq } = rig.controller.state;
    for (const query of ["", "?dryRun=true"]) {
      const refused = await problem("POST", `/api/v1/ports/batch${query}`, { body: { changes: [tcp, udp] } });
      expect([refused.status, refused.body.code]).toEqual([409, "PORT_TAKEN"]);
      expect(refused.body.detail).toContain("udp 8443 already goes to web");
    }
    expect(rig.controller.state.seq).toBe(seq);
  });

  it("are withdrawn together when the kernel refuses one of them", async () => {
    rig.effect = () => ({ kind: "refused", message: "no" });
    expect((await problem("POST", "/api/v1/ports/batch", { body: { changes: [tcp, udp] } })).status).toBe(503);
    rig.effect = () => ({ kind: "effective" });
    expect(await rig.ports()).toEqual([]);
  });
});
