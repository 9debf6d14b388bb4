import { beforeEach, describe, expect, it } from "vitest";
import type { Problem } from "../../../src/api/problem.ts";
import type { ResultDocument } from "../../../src/api/schemas/plan.ts";
import type { WhyDocument } from "../../../src/api/schemas/why.ts";
import { NO_SECRET } from "../../../src/api/sealing.ts";
import { asDevice, makeRig, type Rig, WEB } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});

const why = async (kind: string, key: string) =>
  (await rig.call<WhyDocument>("GET", `/api/v1/why/${kind}/${encodeURIComponent(key)}`)).body;
const ELEMENT = "forward|11.22.33.1|tcp|8443";

describe("why", () => {
  it("[E6] says of a row who wants it, by which records, and what became of it", async () => {
    await rig.call("POST", "/api/v1/ports", { body: WEB });
    const found = await why("element", ELEMENT);
    expect(found).toMatchObject({
      kind: "element",
      key: ELEMENT,
      present: true,
      owners: [{ kind: "port", name: "8443/tcp", says: { to: "192.168.77.2:443", label: "web" } }],
      events: [{ type: "mapping.granted", source: "api:socket" }],
      gone: null,
      rows: [{ reconciler: "nftables-forwards", key: ELEMENT, status: "done" }],
    });
    expect(found.text).toEqual([
      `element ${ELEMENT} is there.`,
      expect.stringContaining("It belongs to port 8443/tcp (to 192.168.77.2:443"),
      expect.stringContaining("It came about by record 4 (mapping.granted by api:socket"),
      `nftables-forwards: ${ELEMENT} is in the kernel`,
    ]);
    expect(await why("nftables-forwards", ELEMENT)).toMatchObject({ present: true });
  });

  it("[W3] [F8] says of a device and of its forward what AllowedIPs make of visitors, and what helps", async () => {
    const { settings } = rig.controller.state;
    const wireguard = { interface: "wg0", listenPort: 51820, nonce: "same-host" } as const;
    await rig.submit({ type: "settings.set", settings: { ...settings, wireguard } });
    await rig.submit({ type: "wireguard.key", publicKey: `${"A".repeat(43)}=`, privateKeySecret: NO_SECRET });
    await rig.call("POST", "/api/v1/subnets", { body: { name: "home", prefix: "10.59.7.0/24" } });
    const { body } = await rig.call<ResultDocument>("POST", "/api/v1/devices", {
      body: { name: "nas", profile: "split" },
    });
    const port = { ...WEB, internalAddress: body.device?.address, sourceAddress: "keep" };
    const { body: made } = await rig.call<ResultDocument>("POST", "/api/v1/ports", { body: port });
    const note = expect.stringMatching(
      /^nas answers no visitor of 8443\/tcp.*port edit 8443\/tcp --source gateway/,
    ) as string;
    expect((await why("device", "nas")).text).toContainEqual(note);
    expect(await why("port", made.port?.id ?? "")).toMatchObject({ notes: [note] });
    await rig.call("PATCH", `/api/v1/ports/${made.port?.id}`, { body: { sourceAddress: "gateway" } });
    expect((await why("device", "nas")).text).not.toContainEqual(note);
    expect(await why("port", made.port?.id ?? "")).toMatchObject({ notes: [] });
  });

  it("[E6] says of a row of the settings which record set them", async () => {
    const found = await why("element", "skeleton");
    expect(found.owners).toMatchObject([{ kind: "other", name: "the configuration file" }]);
    expect(found.events.length).toBeGreaterThan(0);
  });

  it("[E6] knows from the log what is gone: whose it was, and what ended it", async () => {
    const { body } = await rig.call<ResultDocument>("POST", "/api/v1/ports", { body: WEB });
    await rig.call("DELETE", `/api/v1/ports/${body.port?.id}`);
    await asDevice(rig);
    const found = await why("element", ELEMENT);
    expect(found).toMatchObject({
      present: false,
      owners: [{ kind: "port", name: "8443/tcp", says: { label: "web" } }],
      events: [{ type: "mapping.granted" }, { type: "lease.released" }],
      gone: { seq: 5, by: "api:socket", type: "lease.released" },
      rows: [],
    });
    for (const key of [body.port?.id as string, "8443/tcp", "8443"]) {
      const port = await why("port", key);
      expect(port).toMatchObject({ kind: "port", key: body.port?.id, present: false, gone: { seq: 5 } });
      expect(port.text[0]).toContain("port 8443/tcp is gone since record 5 (lease.released by api:socket");
    }
  });

  it("[E6] explains subnets and devices by name, there or gone", async () => {
    await rig.call("POST", "/api/v1/subnets", { body: { name: "home", prefix: "10.59.7.0/24" } });
    expect(await why("subnet", "home")).toMatchObject({
      present: true,
      owners: [{ name: "home", says: { prefix: "10.59.7.1/24" } }],
      events: [{ type: "subnet.added" }],
    });
    await rig.call("DELETE", "/api/v1/subnets/home");
    expect(await why("subnet", "home")).toMatchObject({
      present: false,
      owners: [{ name: "home" }],
      events: [{ type: "subnet.added" }, { type: "subnet.removed" }],
    });
  });

  it("[E6] says so of what never was, and of kinds there are not", async () => {
    expect(await why("element", "forward|11.22.33.1|tcp|1")).toMatchObject({ code: "NOT_FOUND" });
    expect(await why("port", "9/tcp")).toMatchObject({ code: "NOT_FOUND" });
    const { detail, code } = (await why("cloud", "x")) as unknown as Problem;
    expect(code).toBe("INVALID_REQUEST");
    expect(detail).toContain("there are element, sysctl");
  });

  it.each(["constructor", "__proto__", "toString"])("takes %s for a name like any other", async (name) => {
    for (const kind of ["subnet", "token", "reconciler", "block", name]) {
      expect(["NOT_FOUND", "INVALID_REQUEST"]).toContain(((await why(kind, name)) as unknown as Problem).code);
    }
    expect((await rig.call("DELETE", `/api/v1/subnets/${name}`)).body).toMatchObject({ code: "NOT_FOUND" });
    const confirm = `/api/v1/confirmations/${name}/confirm`;
    expect((await rig.call("POST", confirm)).body, confirm).toMatchObject({ code: "NOT_FOUND" });
    expect((await rig.call("DELETE", `/api/v1/tokens/${name}`)).body).toMatchObject({ code: "NOT_FOUND" });
    expect((await rig.call("POST", "/api/v1/subnets", { body: { name, prefix: "10.59.7.0/24" } })).status).toBe(201);
    expect(await why("subnet", name)).toMatchObject({ present: true, owners: [{ name }] });
    expect((await rig.call("PATCH", `/api/v1/subnets/${name}`, { body: { name: "lab" } })).status).toBe(200);
    expect((await rig.call("DELETE", "/api/v1/subnets/lab")).status).toBe(200);
  });
});
