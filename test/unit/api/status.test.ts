import { beforeEach, describe, expect, it } from "vitest";
import { T0 } from "../reducers/given.ts";
import { asDevice, FORWARDS, makeRig, OK, type Rig } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});

describe("health", () => {
  it("[A4] answers as long as the process does, and is ready only while promises can be made", async () => {
    expect(await rig.call("GET", "/healthz")).toMatchObject({ status: 200, body: { ok: true } });
    expect(await rig.call("GET", "/readyz")).toMatchObject({ status: 200, body: { ready: true, reasons: [] } });
    rig.readiness = { ready: false, reasons: ["safe mode: record 7 is missing"] };
    expect(await rig.call("GET", "/readyz")).toMatchObject({ status: 503, body: rig.readiness });
    expect(await rig.call("GET", "/healthz")).toMatchObject({ status: 200 });
  });

  it("[A7] gives the figures of the registry in Prometheus' format", async () => {
    rig.deps.metrics.gauge("portreeve_leases", "Claims that have an end", []).set({}, 7);
    const { headers, text } = await rig.call("GET", "/metrics");
    expect(headers["content-type"]).toContain("text/plain");
    expect(text).toContain("portreeve_leases 7");
  });
});

describe("the status", () => {
  it("[A4] is the whole gateway on one page", async () => {
    await asDevice(rig);
    rig.clock.advance(90_500);
    rig.reconciler.health = { ...OK, level: "degraded", message: "2 rows fail", errorsCurrent: 2 };
    expect((await rig.call("GET", "/api/v1/status")).body).toEqual({
      version: "1.2.3",
      instanceId: "00000000000000aa",
      mode: "running",
      ready: true,
      reasons: [],
      fault: null,
      log: { base: 0, verification: null },
      warnings: [],
      startedAt: new Date(T0).toISOString(),
      uptime: 90,
      seq: 4,
      wans: [{ interface: "wan0", up: true, externalAddress: "11.22.33.1", gateway: null }],
      lans: [{ interface: "lan0", up: true, addresses: ["192.168.77.1/24"], nonce: "strict" }],
      tunnel: null,
      ports: { total: 1, devices: 1, failing: 2 },
      sockets: ["api socket"],
      reconcilers: [{ name: FORWARDS, level: "degraded", message: "2 rows fail" }],
      confirmations: [],
    });
  });

  it("lists the devices that hold a port, with what they may still do", async () => {
    expect((await rig.call("GET", "/api/v1/devices")).body).toEqual([]);
    await asDevice(rig);
    expect((await rig.call("GET", "/api/v1/devices")).body).toEqual([
      {
        managedBy: null,
        id: "192.168.77.2@lan0",
        name: "192.168.77.2",
        registered: false,
        kind: null,
        subnet: null,
        interface: "lan0",
        address: "192.168.77.2",
        ipv6: null,
        rights: null,
        dnsName: null,
        zones: [],
        mapsFor: [],
        wan: null,
        externalAddress: "11.22.33.1",
        profile: null,
        publicKey: null,
        privateKeyKept: false,
        expiresAt: null,
        tunnel: null,
        revision: null,
        mappings: [(await rig.ports())[0]?.id],
        ports: 1,
        quota: { mappings: 256, ports: 2048, events: 512 },
        eventsLeft: 511,
      },
    ]);
  });
});

describe("reconcilers", () => {
  it("[E3] are listed and shown with their passes", async () => {
    expect((await rig.call("GET", "/api/v1/reconcilers")).body).toMatchObject([
      { name: FORWARDS, level: "ok", pausedUntil: null },
    ]);
    const { body } = await rig.call("GET", `/api/v1/reconcilers/${FORWARDS}`);
    expect(body).toMatchObject({ passes: [{ id: 1, created: 2, at: new Date(T0).toISOString() }] });
    const missing = await rig.call("GET", "/api/v1/reconcilers/nftables-forward");
    expect(missing).toMatchObject({ status: 404 });
    expect(missing.text).toContain(`did you mean ${FORWARDS}?`);
  });

  it("run and let held-back deletes through when asked, and only show the plan of a dry run", async () => {
    const path = `/api/v1/reconcilers/${FORWARDS}`;
    const plan = [{ op: "delete", key: "forward|11.22.33.1|tcp|1", owners: [] }];
    expect((await rig.call("POST", `${path}/run?dryRun=true`)).body).toEqual(plan);
    expect((await rig.call("POST", `${path}/release-brake?dryRun=true`)).body).toEqual(plan);
    expect([rig.reconciler.runs.length, rig.reconciler.brakeReleases]).toEqual([0, 0]);
    expect((await rig.call("POST", `${path}/run`)).body).toMatchObject({ id: 1 });
    await rig.call("POST", `${path}/release-brake`);
    expect([rig.reconciler.runs.length, rig.reconciler.brakeReleases]).toEqual([2, 1]);
  });

  it("[E3] are paused by an event with an end, and resumed", async () => {
    const path = `/api/v1/reconcilers/${FORWARDS}`;
    expect(await rig.call("POST", `${path}/pause`, { body: { seconds: 60 } })).toMatchObject({
      status: 200,
      body: { changed: true, port: null },
    });
    expect((await rig.call("GET", path)).body).toMatchObject({ pausedUntil: new Date(T0 + 60_000).toISOString() });
    rig.clock.advance(60_000);
    expect((await rig.call("GET", path)).body).toMatchObject({ pausedUntil: null });
    await rig.call("POST", `${path}/pause`);
    expect((await rig.call("GET", path)).body).toMatchObject({
      pausedUntil: new Date(T0 + 60_000 + 3_600_000).toISOString(),
    });
    await rig.call("POST", `${path}/resume`);
    expect((await rig.call("GET", path)).body).toMatchObject({ pausedUntil: null });
  });
});

describe("the OpenAPI document", () => {
  it("[A4] is 3.1, names every route of the API, and changes only on purpose", async () => {
    const { body } = await rig.call("GET", "/openapi.json");
    expect(body).toMatchObject({ openapi: "3.1.0", info: { title: "Portreeve", version: "1.2.3" } });
    await expect(JSON.stringify(body, null, 2)).toMatchFileSnapshot("openapi.snap");
  });

  it("is a page for people too, with every error code, and runs no script", async () => {
    const { headers, text } = await rig.call("GET", "/docs");
    expect(headers["content-security-policy"]).toContain("default-src 'self'; base-uri 'none'");
    expect(text).toContain("POST /api/v1/ports");
    expect(text).toContain('id="PORT_TAKEN"');
    expect(text).not.toContain("<script");
  });
});

describe("what is not there", () => {
  it("is a problem document", async () => {
    const { status, headers, body } = await rig.call("GET", "/api/v1/nothing");
    expect(status).toBe(404);
    expect(headers["content-type"]).toContain("application/problem+json");
    expect(body).toMatchObject({ code: "NOT_FOUND" });
  });

  it("is a problem document for a path that is no URL, too", async () => {
    const { status, headers, body } = await rig.call("GET", "/api/v1/ports/%zz");
    expect(status).toBe(400);
    expect(headers["content-type"]).toContain("application/problem+json");
    expect(body).toMatchObject({ code: "INVALID_REQUEST" });
  });
});
