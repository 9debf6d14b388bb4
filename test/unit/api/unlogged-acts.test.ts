import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PlanDocument } from "../../../src/api/schemas/plan.ts";
import { makeRig, type Rig } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(async () => await rig.app.close());

describe("numbers in a path or a query", () => {
  it.each(["0x3", "1e0", "%2b3", "3.0", "-0", "%203", "03333333333333333"])(
    "are decimal digits and not %s",
    async (text) => {
      for (const path of ["/events/", "/snapshots/", "/events?after=", "/events?limit=", "/reconcilers?wait="]) {
        expect((await rig.call("GET", `/api/v1${path}${text}`)).status, path).toBe(400);
      }
    },
  );

  it("are not left out behind the equals sign", async () => {
    for (const query of [
      "/events?after=",
      "/events?limit=",
      "/reconcilers/nftables-forwards?passes=",
      "/ports?port=",
    ]) {
      expect((await rig.call("GET", `/api/v1${query}`)).status, query).toBe(400);
    }
  });
});

describe("[E1] a mutation that logs nothing", () => {
  const run = "/api/v1/reconcilers/nftables-forwards/run";
  const release = "/api/v1/reconcilers/nftables-forwards/release-brake";
  const snapshots = "/api/v1/snapshots";
  const keyed = (key: string) => ({ headers: { "idempotency-key": key } });

  it.each([run, release, snapshots])(
    "POST %s with an Idempotency-Key is done once, also at the same time",
    async (path) => {
      const [first, second] = await Promise.all([
        rig.call("POST", path, keyed("k")),
        rig.call("POST", path, keyed("k")),
      ]);
      await rig.submit({ type: "interface.observe", name: "lan0", up: false, addresses: [], gateway: null });
      const third = await rig.call("POST", path, keyed("k"));
      expect(first.status).toBeLessThan(300);
      expect([second.body, third.body]).toEqual([first.body, first.body]);
      expect([second.status, third.status]).toEqual([first.status, first.status]);
      expect(first.headers["idempotency-replayed"]).toBeUndefined();
      expect(third.headers["idempotency-replayed"]).toBe("true");
      expect(rig.reconciler.runs).toHaveLength(path === snapshots ? 0 : 1);
      expect(rig.reconciler.brakeReleases).toBe(path === release ? 1 : 0);
      await rig.call("POST", path, keyed("another"));
      expect(rig.reconciler.runs).toHaveLength(path === snapshots ? 0 : 2);
    },
  );

  it("refuses a key that stood for another request", async () => {
    await rig.call("POST", run, keyed("k"));
    expect(await rig.call("POST", release, keyed("k"))).toMatchObject({
      status: 422,
      body: { code: "INVALID_REQUEST" },
    });
    expect(rig.reconciler.brakeReleases).toBe(0);
  });

  it("that failed is done again under its key", async () => {
    rig.reconciler.run = () => Promise.reject(new Error("gone"));
    expect((await rig.call("POST", run, keyed("k"))).status).toBe(500);
    rig.reconciler.run = Object.getPrototypeOf(rig.reconciler).run as typeof rig.reconciler.run;
    expect((await rig.call("POST", run, keyed("k"))).status).toBe(200);
  });

  it.each([run, release, snapshots])("POST %s is refused if the log has moved on from If-Match", async (path) => {
    const { seq } = rig.controller.state;
    const at = (ifMatch: number) => ({ headers: { "if-match": `"${ifMatch}"` } });
    expect(await rig.call("POST", path, at(seq - 1))).toMatchObject({
      status: 409,
      body: { code: "LOG_REVISION_CONFLICT" },
    });
    expect([rig.reconciler.runs, rig.reconciler.brakeReleases]).toEqual([[], 0]);
    expect((await rig.call("POST", path, at(seq))).status).toBeLessThan(300);
  });

  it("a snapshot is planned by dryRun and not made", async () => {
    const { status, body } = await rig.call<PlanDocument>("POST", `${snapshots}?dryRun=true`);
    expect([status, body]).toMatchObject([200, { dryRun: true, seq: 3, events: [], changes: [] }]);
    expect((await rig.call("GET", snapshots)).body).toEqual([]);
  });
});
