import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { totpCode, totpStep } from "../../../src/api/auth/totp.ts";
import { type OpenApi, openApi } from "../../../src/api/listener.ts";
import { fromBase32 } from "./auth/base32.ts";
import { cookieOf, type Got, type Place, send, type Sent } from "./http-client.ts";
import type { MemorySecrets } from "./memory-secrets.ts";
import { CHEAP, makeRig, type Rig } from "./rig.ts";

const PASSWORD = "a good long password";
const OTHER = "another long password";

let folder: string;
let rig: Rig;
let api: OpenApi;
let tcp: { readonly port: number };
let local: Place;
let wallOffset = 0;
const wallClock = () => rig.clock.now() + wallOffset;
beforeEach(async () => {
  wallOffset = 0;
  folder = mkdtempSync(join(tmpdir(), "portreeve-account-"));
  rig = await makeRig();
  local = { socketPath: join(folder, "portreeve.sock") };
  await open();
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  api = await openApi(
    { ...rig.deps, wallClock },
    {
      socketPath: join(folder, "portreeve.sock"),
      listen: { host: "127.0.0.1", port: 0 },
      tokenFile: join(folder, "api-token"),
      passwordCost: CHEAP,
    },
  );
  tcp = { port: Number(api.address?.split(":").at(-1)) };
}

const origin = () => `http://127.0.0.1:${tcp.port}`;
const kept = () => (rig.deps.secrets as MemorySecrets).kept;
const kinds = () => [...kept().values()].map(({ kind }) => kind).sort();
const sources = async () => {
  const events = await send(local, "/api/v1/events?limit=1000");
  return (events.body as unknown as { type: string; source: string }[]).map(({ type, source }) => `${type} ${source}`);
};
const setPassword = (password = PASSWORD) => send(local, "/api/v1/password", { method: "POST", body: { password } });
const signIn = (password = PASSWORD, extra: Sent & { code?: string } = {}): Promise<Got> => {
  const { code, ...sent } = extra;
  const body = { password, ...(code !== undefined && { code }) };
  return send(tcp, "/api/v1/sessions", { method: "POST", body, ...sent });
};
/** In a session, as a page of ours would ask. */
const inSession = (cookie: string, path: string, sent: Sent = {}) =>
  send(tcp, path, { ...sent, headers: { cookie, origin: origin(), ...sent.headers } });

describe("the first sign-in", () => {
  it("[A3] is by a link that works once, sets the password, signs in, and removes the token file", async () => {
    expect(existsSync(join(folder, "api-token"))).toBe(true);
    const first = await api.firstLink();
    expect(first?.url).toMatch(new RegExp(`^${origin()}/sign-in#[\\w-]{43}$`));
    expect(await api.firstLink(), "said once").toBeNull();
    const token = first?.url.split("#")[1] as string;
    const redeem = (given: string) =>
      send(tcp, "/api/v1/sign-in-link/redeem", { method: "POST", body: { token: given, password: PASSWORD } });
    expect((await redeem(`${token.slice(1)}x`)).status).toBe(403);
    const done = await redeem(token);
    expect(done.status).toBe(200);
    expect((await inSession(cookieOf(done), "/api/v1/status")).status).toBe(200);
    expect((await redeem(token)).status, "a second time").toBe(403);
    expect(existsSync(join(folder, "api-token"))).toBe(false);
    expect(await sources()).toContain("password.set api:link:127.0.0.1");
    expect(await sources()).toContain("sign-in-link.issued controller");
    expect(kinds(), "the link's hash is gone").toEqual(["password"]);
    await api.close();
    await open();
    expect(existsSync(join(folder, "api-token")), "nor does it come back").toBe(false);
    expect(await api.firstLink()).toBeNull();
  });

  it("[A3] outlives a restart as a hash, ends after a day, and `user link` makes another", async () => {
    const token = (await api.firstLink())?.url.split("#")[1] as string;
    const held = [...kept().values()].map(({ material }) => Buffer.from(material.expose()).toString());
    expect(held.join()).not.toContain(token);
    await api.close();
    await open();
    const redeem = (given: string) =>
      send(tcp, "/api/v1/sign-in-link/redeem", { method: "POST", body: { token: given, password: PASSWORD } });
    rig.clock.advance(24 * 3_600_000);
    expect((await redeem(token)).status).toBe(403);
    const second = (await api.firstLink())?.url;
    expect(second, "a start after that says a new one").toBeDefined();
    const third = await send(local, "/api/v1/sign-in-link", { method: "POST" });
    expect(third.status).toBe(201);
    expect((await redeem(second?.split("#")[1] as string)).status, "the last one counts").toBe(403);
    expect((await redeem(String(third.body["url"]).split("#")[1] as string)).status).toBe(200);
  });

  it("[A3] of two who use a link at once, one wins", async () => {
    const token = (await api.firstLink())?.url.split("#")[1] as string;
    const redeem = (password: string, from: string) =>
      send(tcp, "/api/v1/sign-in-link/redeem", { method: "POST", body: { token, password }, from });
    const both = [redeem(PASSWORD, "127.0.0.1"), redeem(OTHER, "127.0.0.2")];
    const statuses = (await Promise.all(both)).map(({ status }) => status);
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 403]);
    expect(kinds()).toEqual(["password"]);
  });

  it("[A3] is not found by trying: five wrong ones a minute, and sign-ins are none the worse for it", async () => {
    await api.firstLink();
    const redeem = () =>
      send(tcp, "/api/v1/sign-in-link/redeem", { method: "POST", body: { token: "x", password: PASSWORD } });
    const statuses: number[] = [];
    for (let round = 0; round < 7; round += 1) statuses.push((await redeem()).status);
    expect(statuses).toEqual([403, 403, 403, 403, 403, 429, 429]);
    await send(local, "/api/v1/password", { method: "POST", body: { password: PASSWORD } });
    expect((await send(tcp, "/api/v1/sessions", { method: "POST", body: { password: PASSWORD } })).status).toBe(201);
    rig.clock.advance(60_000);
    expect((await redeem()).status).toBe(403);
  });

  it("has a page that needs nothing from elsewhere", async () => {
    const page = await send(tcp, "/sign-in");
    expect(page.headers["content-security-policy"]).toContain("default-src 'self'");
    expect(page.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(page.text).not.toMatch(/style=|onclick=|<script>|https?:/);
    expect(page.text).toContain('<script src="/sign-in.js">');
    expect((await send(tcp, "/sign-in.js")).headers["content-type"]).toContain("text/javascript");
  });
});

describe("signing in", () => {
  it("[A3] gives a session cookie, which changes with each sign-in and ends the one before", async () => {
    await setPassword();
    const first = cookieOf(await signIn());
    expect((await inSession(first, "/api/v1/sessions")).status).toBe(200);
    const again = await signIn(PASSWORD, { headers: { cookie: first, origin: origin() } });
    expect(cookieOf(again)).not.toBe(first);
    expect((await inSession(first, "/api/v1/sessions")).status).toBe(401);
    const sessions = (await inSession(cookieOf(again), "/api/v1/sessions")).body as unknown as { current: boolean }[];
    expect(sessions).toMatchObject([{ current: true, address: "127.0.0.1" }]);
  });

  it("[A3] says the same whatever is wrong, also where there is no password yet", async () => {
    const before = await signIn("whatever it is");
    await setPassword();
    const wrong = await signIn("whatever it is", { from: "127.0.0.2" });
    expect([before.status, wrong.status]).toEqual([401, 401]);
    expect(before.body["detail"]).toBe(wrong.body["detail"]);
    const requests = (await send(local, "/api/v1/requests")).body as unknown as { request: string; decision: string }[];
    expect(requests.filter(({ request }) => request === "sign in")).toMatchObject([
      { decision: "refused", from: "127.0.0.2" },
      { decision: "refused", from: "127.0.0.1" },
    ]);
    expect(JSON.stringify(requests)).not.toContain("whatever");
  });

  it("[A3] is slowed down where it fails, and never for the socket, a session, or another address", async () => {
    await setPassword();
    const cookie = cookieOf(await signIn());
    expect((await signIn("wrong password", { from: "127.0.0.3" })).status).toBe(401);
    const refused = await signIn(PASSWORD, { from: "127.0.0.3" });
    expect(refused.status, "right, and too early").toBe(429);
    expect(refused.headers["retry-after"]).toBe("1");
    expect((await inSession(cookie, "/api/v1/status", { from: "127.0.0.3" })).status).toBe(200);
    expect((await send(local, "/api/v1/status")).status).toBe(200);
    expect((await signIn(PASSWORD, { from: "127.0.0.4" })).status).toBe(201);
    rig.clock.advance(1000);
    expect((await signIn(PASSWORD, { from: "127.0.0.3" })).status).toBe(201);
  });

  it("[A3] ends with signing out, with being ended by another session, and with a new password", async () => {
    await setPassword();
    const [mine, other, third] = [cookieOf(await signIn()), cookieOf(await signIn()), cookieOf(await signIn())];
    const alive = async (cookie: string) => (await inSession(cookie, "/api/v1/status")).status === 200;
    const out = await inSession(other, "/api/v1/sessions/current", { method: "DELETE" });
    expect([out.status, String(out.headers["set-cookie"])]).toEqual([204, expect.stringContaining("Max-Age=0")]);
    expect(await alive(other)).toBe(false);
    const list = (await inSession(mine, "/api/v1/sessions")).body as unknown as { id: string; current: boolean }[];
    expect(list).toHaveLength(2);
    const notMine = list.find(({ current }) => !current)?.id;
    expect((await inSession(mine, `/api/v1/sessions/${notMine}`, { method: "DELETE" })).status).toBe(204);
    expect([await alive(third), await alive(mine)]).toEqual([false, true]);
    const fourth = cookieOf(await signIn());
    const change = (body: object) => inSession(mine, "/api/v1/password", { method: "POST", body });
    expect((await change({ password: OTHER })).status, "without the password once more").toBe(403);
    expect((await change({ password: OTHER, current: "wrong password" })).status).toBe(401);
    rig.clock.advance(1000);
    expect((await change({ password: OTHER, current: PASSWORD })).status).toBe(200);
    expect([await alive(fourth), await alive(mine)]).toEqual([false, true]);
    expect((await signIn(OTHER)).status).toBe(201);
    expect(kinds(), "the password before is erased").toEqual(["password"]);
  });

  it("[A3] ends the streams of a session that is killed", async () => {
    await setPassword();
    const cookie = cookieOf(await signIn());
    const { request } = await import("node:http");
    const ended = new Promise<void>((resolve, reject) => {
      const call = request(
        { host: "127.0.0.1", port: tcp.port, path: "/api/v1/events/stream", headers: { cookie } },
        (response) => {
          response.once("close", () => resolve());
          response.on("error", () => {});
          response.once("data", () => void send(local, "/api/v1/sessions", { method: "DELETE" }).catch(reject));
        },
      );
      call.on("error", () => resolve());
      call.end();
    });
    await ended;
    expect((await inSession(cookie, "/api/v1/status")).status).toBe(401);
  });
});

describe("codes", () => {
  it("[A3] are asked for once a device has shown one, are worth something once, and are turned off by the socket", async () => {
    await setPassword();
    const enrolment = await send(local, "/api/v1/totp/enrolment", { method: "POST" });
    const secret = fromBase32(String(enrolment.body["secret"]));
    const code = (stepsAhead = 0) => totpCode(secret, totpStep(rig.clock.now()) + stepsAhead);
    expect((await send(local, "/api/v1/totp", { method: "POST", body: { code: code(5) } })).status).toBe(400);
    expect((await signIn()).status, "not yet").toBe(201);
    expect((await send(local, "/api/v1/totp", { method: "POST", body: { code: code() } })).status).toBe(200);
    rig.clock.advance(30_000);
    expect((await signIn()).status, "without a code").toBe(401);
    rig.clock.advance(60_000);
    const good = code();
    expect((await signIn(PASSWORD, { code: good })).status).toBe(201);
    expect((await signIn(PASSWORD, { code: good })).status, "the same code again").toBe(401);
    rig.clock.advance(60_000);
    expect((await signIn("wrong password", { code: code() })).status).toBe(401);
    expect((await send(local, "/api/v1/totp", { method: "DELETE" })).status).toBe(200);
    expect((await signIn(PASSWORD, { from: "127.0.0.9" })).status).toBe(201);
    expect(kinds()).toEqual(["password"]);
  });

  it("[A3] are good again within a step after the clock was set back by hours", async () => {
    await setPassword();
    const enrolment = await send(local, "/api/v1/totp/enrolment", { method: "POST" });
    const secret = fromBase32(String(enrolment.body["secret"]));
    const code = () => totpCode(secret, totpStep(wallClock()));
    await send(local, "/api/v1/totp", { method: "POST", body: { code: code() } });
    wallOffset -= 3 * 3_600_000;
    expect((await signIn(PASSWORD, { code: code() })).status, "seen before, perhaps").toBe(401);
    wallOffset += 30_000;
    const good = code();
    expect((await signIn(PASSWORD, { code: good, from: "127.0.0.9" })).status).toBe(201);
    expect((await signIn(PASSWORD, { code: good, from: "127.0.0.8" })).status, "the same code again").toBe(401);
  });

  it("[A3] let nobody in by a password that was changed while they were checked", async () => {
    await setPassword();
    const enrolment = await send(local, "/api/v1/totp/enrolment", { method: "POST" });
    const secret = fromBase32(String(enrolment.body["secret"]));
    const code = () => totpCode(secret, totpStep(rig.clock.now()));
    await send(local, "/api/v1/totp", { method: "POST", body: { code: code() } });
    rig.clock.advance(60_000);
    const opened = rig.deps.secrets.open.bind(rig.deps.secrets);
    let changed: Got | null = null;
    rig.deps.secrets.open = async (secretId) => {
      if (secretId !== rig.controller.state.access.totp?.secretId) return await opened(secretId);
      changed ??= await setPassword(OTHER);
      return await opened(secretId);
    };
    expect((await signIn(PASSWORD, { code: code() })).status).toBe(401);
    expect(changed).toMatchObject({ status: 200 });
  });

  it("[A3] stay asked for after a link set a new password", async () => {
    await setPassword();
    const enrolment = await send(local, "/api/v1/totp/enrolment", { method: "POST" });
    const secret = fromBase32(String(enrolment.body["secret"]));
    await send(local, "/api/v1/totp", { method: "POST", body: { code: totpCode(secret, totpStep(rig.clock.now())) } });
    const link = await send(local, "/api/v1/sign-in-link", { method: "POST" });
    const body = { token: String(link.body["url"]).split("#")[1], password: OTHER };
    const done = await send(tcp, "/api/v1/sign-in-link/redeem", { method: "POST", body });
    expect([done.status, done.body["session"], done.headers["set-cookie"]]).toEqual([200, null, undefined]);
  });
});

describe("tokens", () => {
  const make = (body: object, sent: Sent = {}) => send(local, "/api/v1/tokens", { method: "POST", body, ...sent });
  const ask = (token: unknown, path = "/api/v1/status", sent: Sent = {}) =>
    send(tcp, path, { ...sent, headers: { authorization: `Bearer ${String(token)}`, ...sent.headers } });

  it("[A3] are shown once, do what their scope says, tell when they were used, and end when revoked", async () => {
    const made = await make({ name: "backup", scopes: ["read"], lifetime: null });
    expect(made.status).toBe(201);
    const { secret, token } = made.body as { secret: string; token: { id: string } };
    expect(secret).toMatch(/^portreeve_k[0-9a-f]{12}_[\w-]{43}$/);
    expect((await ask(secret)).status).toBe(200);
    expect((await ask(`${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`)).status).toBe(401);
    expect((await ask(secret, "/api/v1/ports", { method: "POST", body: {} })).status).toBe(403);
    const list = await send(local, "/api/v1/tokens");
    expect(list.text).not.toContain(secret);
    expect(list.body).toMatchObject([{ name: "backup", scopes: ["read"], lastUsedAt: expect.any(String) }]);
    const log = await send(local, "/api/v1/events/export");
    expect(log.text).toContain("token.created");
    expect(log.text).not.toContain(secret.slice(-43));
    expect((await send(local, `/api/v1/tokens/${token.id}`, { method: "DELETE" })).status).toBe(200);
    expect((await ask(secret)).status).toBe(401);
    expect(kinds()).toEqual([]);
  });

  it("[A3] end, with what they have open, when their making is undone", async () => {
    const { secret } = (await make({ name: "ops", scopes: ["read"], lifetime: null })).body;
    const { request } = await import("node:http");
    const headers = { authorization: `Bearer ${String(secret)}` };
    await new Promise<void>((resolve, reject) => {
      const place = { host: "127.0.0.1", port: tcp.port, path: "/api/v1/events/stream", headers };
      const call = request(place, (response) => {
        response.once("close", () => resolve());
        response.on("error", () => {});
        response.once("data", () => void send(local, "/api/v1/undo", { method: "POST" }).catch(reject));
      });
      call.on("error", () => resolve());
      call.end();
    });
    expect((await ask(secret)).status).toBe(401);
    // What sweeps only now and then comes too late.
  }, 10_000);

  it("[A3] end by themselves, and what they did is signed with their id", async () => {
    const made = await make({ name: "ops", scopes: ["operate"], lifetime: 60 });
    const { secret, token } = made.body as { secret: string; token: { id: string } };
    const body = { protocol: "tcp", externalPort: 8443, internalAddress: "192.168.77.2" };
    expect((await ask(secret, "/api/v1/ports", { method: "POST", body })).status).toBe(201);
    expect(await sources()).toContain(`mapping.granted api:token:${token.id}`);
    expect(await sources()).toContain("token.created api:socket");
    rig.clock.advance(60_000);
    expect((await ask(secret)).status).toBe(401);
  });

  it("[A3] can't make tokens, change the password or the codes, or make links", async () => {
    await setPassword();
    const { secret } = (await make({ name: "all", scopes: ["admin"], lifetime: null })).body;
    const tries: [string, Sent][] = [
      ["/api/v1/tokens", { method: "POST", body: { name: "more", lifetime: null } }],
      ["/api/v1/password", { method: "POST", body: { password: OTHER, current: PASSWORD } }],
      ["/api/v1/totp/enrolment", { method: "POST", body: { current: PASSWORD } }],
      ["/api/v1/totp", { method: "POST", body: { code: "000000" } }],
      ["/api/v1/totp", { method: "DELETE" }],
      ["/api/v1/sign-in-link", { method: "POST" }],
    ];
    for (const [path, sent] of tries)
      expect((await ask(secret, path, sent)).status, `${sent.method} ${path}`).toBe(403);
    expect((await ask(secret, "/api/v1/tokens")).status).toBe(200);
  });

  it("[A1] a repeated request makes one token and shows its secret once; a dry run makes none and seals nothing", async () => {
    const plan = await make({ name: "ci", lifetime: null }, { headers: {} });
    await send(local, `/api/v1/tokens/${(plan.body as { token: { id: string } }).token.id}`, { method: "DELETE" });
    const dry = await send(local, "/api/v1/tokens?dryRun=true", {
      method: "POST",
      body: { name: "ci", lifetime: null },
    });
    expect(dry.body).toMatchObject({ dryRun: true, events: [{ type: "token.created" }] });
    expect(kinds()).toEqual([]);
    const headers = { "idempotency-key": "once" };
    const first = await make({ name: "ci", lifetime: null }, { headers });
    const second = await make({ name: "ci", lifetime: null }, { headers });
    expect(first.body["secret"]).not.toBeNull();
    expect(second.body).toMatchObject({ secret: null, token: (first.body as { token: object }).token });
    expect(kinds()).toEqual(["token"]);
  });
});

describe("a key of a repeated request", () => {
  it("[A1] is one token's: another with the same key asks for something of its own", async () => {
    const tokens: string[] = [];
    for (const name of ["one", "two"]) {
      const made = await send(local, "/api/v1/tokens", {
        method: "POST",
        body: { name, scopes: ["admin"], lifetime: null },
      });
      tokens.push(String(made.body["secret"]));
    }
    const undo = (token: string | undefined) =>
      send(tcp, "/api/v1/undo", {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "idempotency-key": "1" },
      });
    const body = { protocol: "tcp", externalPort: 8443, internalAddress: "192.168.77.2" };
    await send(local, "/api/v1/ports", { method: "POST", body });
    const [first, again, other] = [await undo(tokens[0]), await undo(tokens[0]), await undo(tokens[1])];
    expect([first.status, first.headers["idempotency-replayed"]]).toEqual([200, undefined]);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect([other.status, other.headers["idempotency-replayed"]]).toEqual([200, undefined]);
    expect(await rig.ports(), "undone, and brought back").toHaveLength(1);
  });
});

describe("what the log holds of a password", () => {
  it("[E9] is nothing, not even in the id of a repeated request", async () => {
    const headers = { "idempotency-key": "change" };
    const body = { password: PASSWORD };
    const first = await send(local, "/api/v1/password", { method: "POST", body, headers });
    expect((await send(local, "/api/v1/password", { method: "POST", body, headers })).body["seq"]).toBe(
      first.body["seq"],
    );
    const log = (await send(local, "/api/v1/events/export")).text;
    const { createHash } = await import("node:crypto");
    const { canonicalJson } = await import("../../../src/lib/canonical-json.ts");
    for (const salted of [
      ["POST", "/api/v1/password", body],
      ["POST", "/api/v1/password", body, null],
    ]) {
      const guess = createHash("sha256").update(canonicalJson(salted)).digest("hex").slice(0, 16);
      expect(log).not.toContain(guess);
    }
    expect(log).not.toContain(PASSWORD);
    expect(log).toMatch(/change\.[0-9a-f]{16}/);
  });
});
