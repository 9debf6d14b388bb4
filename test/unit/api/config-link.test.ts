import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Script } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type OpenApi, openApi } from "../../../src/api/listener.ts";
import type { RecordDocument } from "../../../src/api/schemas/history.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { type Place, send } from "./http-client.ts";
import { CHEAP, type FakeTunnel, makeRig, type Rig } from "./rig.ts";

let folder: string;
let rig: Rig;
let api: OpenApi;
let tcp: { readonly port: number };
let local: Place;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-link-"));
  rig = await makeRig();
  const socketPath = join(folder, "portreeve.sock");
  local = { socketPath };
  const listen = { host: "127.0.0.1", port: 0 };
  api = await openApi(rig.deps, { socketPath, listen, tokenFile: join(folder, "token"), passwordCost: CHEAP });
  tcp = { port: Number(api.address?.split(":").at(-1)) };
  await rig.call("POST", "/api/v1/subnets", { body: { name: "home", prefix: "10.59.7.0/24" } });
  await rig.call("POST", "/api/v1/devices", { body: { name: "phone" } });
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

async function issue(body: object = {}): Promise<string> {
  const made = await send(local, "/api/v1/devices/phone/config-link", { method: "POST", body });
  expect(made.status).toBe(201);
  return String(made.body["url"]).split("#")[1] as string;
}
const redeem = (token: string, headers: Record<string, string> = {}) =>
  send(tcp, "/api/v1/config-link/redeem", { method: "POST", body: { token }, headers });
const shown = async (): Promise<string[]> => {
  const { body } = await rig.call<RecordDocument[]>("GET", "/api/v1/events?type=secret.shown");
  return body.map(({ source, data }) => `${(data as { what: string }).what} ${source}`);
};

describe("a link to the configuration of a device", () => {
  it("[W3] shows it once without a login, uncached, and says in the log who was given it and who took it", async () => {
    const made = await send(local, "/api/v1/devices/phone/config-link", { method: "POST" });
    expect(made.body["url"]).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${tcp.port}/device-config#[\\w-]{43}$`));
    expect(made.body["expiresAt"]).toBe(new Date(rig.clock.now() + 900_000).toISOString());
    expect((await send(tcp, "/device-config")).status, "looking at where it leads uses nothing up").toBe(200);
    const got = await redeem(String(made.body["url"]).split("#")[1] as string);
    expect(got).toMatchObject({
      status: 200,
      body: { name: "phone", filename: "phone.conf", profile: "full", text: "# phone\n" },
    });
    expect(got.headers["cache-control"]).toBe("no-store");
    expect((await redeem(String(made.body["url"]).split("#")[1] as string)).status, "a second time").toBe(403);
    expect(await shown()).toEqual(["link api:socket", "config api:link:127.0.0.1"]);
  });

  it("[W3] is plain text for who asks for that", async () => {
    const got = await redeem(await issue({ profile: "split" }), { accept: "text/plain" });
    expect([got.status, got.headers["content-type"], got.text]).toEqual([
      200,
      "text/plain; charset=utf-8",
      "# phone\n",
    ]);
  });

  it("[W3] ends after 15 minutes, when another is made, and with its device", async () => {
    const late = await issue();
    rig.clock.advance(900_000);
    expect((await redeem(late)).status).toBe(403);
    const [first, second] = [await issue(), await issue()];
    expect((await redeem(first)).status, "the last one counts").toBe(403);
    await rig.call("DELETE", "/api/v1/devices/phone");
    expect((await redeem(second)).status).toBe(404);
    expect(await shown(), "nothing was shown").toEqual(["link api:socket", "link api:socket", "link api:socket"]);
  });

  it("[W3] is still good when what it is for could not be made, and of two who use it at once one wins", async () => {
    const token = await issue();
    const tunnel = rig.deps.tunnel as FakeTunnel;
    const refused = new PortreeveError("NO_EXTERNAL_ADDRESS", "no address", "transient");
    const without = vi.spyOn(tunnel, "configOf").mockRejectedValue(refused);
    expect((await send(local, "/api/v1/devices/phone/config-link", { method: "POST" })).status, "said at once").toBe(
      503,
    );
    expect((await redeem(token)).status).toBe(503);
    without.mockRestore();
    const from = ["127.0.0.1", "127.0.0.2"].map((address) =>
      send(tcp, "/api/v1/config-link/redeem", { method: "POST", body: { token }, from: address }),
    );
    expect((await Promise.all(from)).map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 403]);
  });

  it("[W3] is not found by trying: five wrong ones a minute", async () => {
    const token = await issue();
    const statuses: number[] = [];
    for (let round = 0; round < 6; round += 1) statuses.push((await redeem(`${round}`)).status);
    expect(statuses).toEqual([403, 403, 403, 403, 403, 429]);
    expect((await redeem(token)).status, "not even with the right one").toBe(429);
    rig.clock.advance(60_000);
    expect((await redeem(token)).status).toBe(200);
  });

  it("[W3] has a page that needs nothing from elsewhere, and a script that is one", async () => {
    const page = await send(tcp, "/device-config");
    expect(page.headers["content-security-policy"]).toContain("default-src 'self'");
    expect(page.text).not.toMatch(/style=|onclick=|<script>|https?:/);
    expect(page.text).toContain('<script src="/device-config.js">');
    for (const path of ["/device-config.js", "/sign-in.js"]) {
      expect(new Script((await send(tcp, path)).text)).toBeDefined();
    }
  });

  it("[E9] leaves nothing of itself in the log, the state or the request log", async () => {
    const token = await issue();
    await redeem("wrong");
    await redeem(token);
    const texts = [
      (await rig.call("GET", "/api/v1/events/export")).text,
      (await rig.call("GET", "/api/v1/state")).text,
      (await rig.call("GET", "/api/v1/requests")).text,
    ];
    for (const text of texts) expect(text).not.toContain(token);
    expect(texts[2]).toContain("take a configuration by link");
  });
});
