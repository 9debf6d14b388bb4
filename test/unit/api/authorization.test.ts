import fastify from "fastify";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Door, guardDoor } from "../../../src/api/access.ts";
import { createApp } from "../../../src/api/app.ts";
import { Accounts } from "../../../src/api/auth/accounts.ts";
import { FirstToken } from "../../../src/api/auth/first-token.ts";
import type { Scope } from "../../../src/api/auth/scope.ts";
import { HostNames } from "../../../src/api/host-names.ts";
import { type OpenApi, openApi } from "../../../src/api/listener.ts";
import { cookieOf, type Got, type Place, send, type Sent } from "./http-client.ts";
import { CHEAP, makeRig, type Rig, WEB } from "./rig.ts";

const PASSWORD = "a good long password";
const CHANGES = ["POST", "PUT", "PATCH", "DELETE"];

let folder: string;
let rig: Rig;
let api: OpenApi;
let tcp: { readonly port: number };
let local: Place;
const tokens: Record<string, string> = {};
let cookie: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-matrix-"));
  rig = await makeRig();
  const socketPath = join(folder, "portreeve.sock");
  local = { socketPath };
  api = await openApi(rig.deps, {
    socketPath,
    listen: { host: "127.0.0.1", port: 0 },
    tokenFile: join(folder, "api-token"),
    passwordCost: CHEAP,
  });
  tcp = { port: Number(api.address?.split(":").at(-1)) };
  for (const [name, lifetime] of [
    ["expired", 1],
    ["read", null],
    ["operate", null],
    ["admin", null],
  ] as const) {
    const scopes = [name === "expired" ? "admin" : name];
    const made = await send(local, "/api/v1/tokens", { method: "POST", body: { name, scopes, lifetime } });
    tokens[name] = String(made.body["secret"]);
  }
  await send(local, "/api/v1/password", { method: "POST", body: { password: PASSWORD } });
  rig.clock.advance(1000);
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What only the guard says: a route that lets a request in may refuse it for reasons of its own. */
const GUARD =
  /sign in, or send|needs a token for|on the gateway itself|are not allowed|from a page of ours|pages of ours only|name its Origin|this is not/;

/** An answer to HEAD says nothing; what it asks for is never refused by its route. */
const letIn = ({ status, text }: Got, { method }: Route): boolean =>
  ![401, 421].includes(status) && !(status === 403 && (method === "HEAD" || GUARD.test(text)));

interface Route {
  readonly method: string;
  readonly path: string;
  readonly scope: Scope;
}

/** The server's own table, with something in place of each parameter. */
const routes = (): Route[] =>
  rig.app.routeScopes.map(({ method, url, scope }) => ({ method, path: url.replaceAll(/:[a-z]+/gi, "x1"), scope }));

const ask = ({ method, path }: Route, sent: Sent, place: Place = tcp): Promise<Got> => {
  const body = ["POST", "PUT", "PATCH"].includes(method) ? { body: {} } : {};
  // Nobody is to undo the tokens that this is asked with.
  const query = CHANGES.includes(method) ? "?dryRun=true" : "";
  return send(place, `${path}${query}`, { method, ...body, ...sent });
};

const bearerOf = (who: string): Record<string, string> =>
  tokens[who] === undefined ? {} : { authorization: `Bearer ${tokens[who]}` };

const ALLOWED: Readonly<Record<string, readonly Scope[]>> = {
  nobody: ["open"],
  expired: ["open"],
  read: ["open", "read"],
  operate: ["open", "read", "operate"],
  admin: ["open", "read", "operate", "admin"],
};

/** Routes that let somebody in who may not go there, or keep out who may. */
async function wrongFor(who: string, place: Place = tcp): Promise<string[]> {
  const wrong: string[] = [];
  for (const route of routes()) {
    const got = await ask(route, { headers: bearerOf(who) }, place);
    const wanted = ALLOWED[who]?.includes(route.scope) === true;
    if (letIn(got, route) !== wanted) wrong.push(`${route.method} ${route.path}: ${got.status} ${got.text}`);
    else if (!wanted && got.status !== (who === "nobody" || who === "expired" ? 401 : 403)) {
      wrong.push(`${route.method} ${route.path}: refused with ${got.status}`);
    } else if (!wanted && route.method !== "HEAD") {
      expect(got.headers["content-type"], route.path).toContain("application/problem+json");
    }
  }
  return wrong;
}

/** Routes that let anybody in who sends headers that nobody may come with. */
async function wrongWith(headers: Record<string, string>, status: number, place: Place = tcp): Promise<string[]> {
  const wrong: string[] = [];
  for (const route of routes()) {
    for (const who of ["nobody", "admin"]) {
      const got = await ask(route, { headers: { ...bearerOf(who), ...headers } }, place);
      if (got.status !== status) wrong.push(`${who} ${route.method} ${route.path}: ${got.status}`);
    }
  }
  return wrong;
}

/** The same API on TCP behind a door with a hole. */
async function holed(hole: Partial<Door>): Promise<{ readonly port: number; close(): Promise<void> }> {
  let names: HostNames | null = null;
  const app = await createApp(rig.deps, {
    cameBySocket: hole.cameBySocket ?? (() => false),
    get names() {
      return hole.names ?? names;
    },
    secure: false,
    authority: null,
    accounts: hole.accounts ?? new Accounts(rig.deps, CHEAP),
    firstToken: new FirstToken(join(folder, "no-token")),
  });
  const port = Number(new URL(await app.listen({ host: "127.0.0.1", port: 0 })).port);
  names = new HostNames({ scheme: "http", listenHost: "127.0.0.1", port, configured: [], external: () => [] });
  return { port, close: async () => await app.close() };
}

describe("the authorisation matrix", () => {
  it("[A3] is made of the server's own routes, each with a scope, of every kind", () => {
    expect(routes().length).toBeGreaterThan(50);
    expect(new Set(routes().map(({ scope }) => scope))).toEqual(new Set(["open", "read", "operate", "admin", "local"]));
    const open = routes().filter(({ scope, method }) => scope === "open" && method !== "HEAD");
    expect(open.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      "GET /api/v1/ca.pem",
      "GET /device-config",
      "GET /device-config.js",
      "GET /docs",
      "GET /docs.css",
      "GET /healthz",
      "GET /openapi.json",
      "GET /readyz",
      "GET /sign-in",
      "GET /sign-in.js",
      "POST /api/v1/config-link/redeem",
      "POST /api/v1/sessions",
      "POST /api/v1/sign-in-link/redeem",
    ]);
    const reads = routes().filter(({ scope, method }) => CHANGES.includes(method) && scope === "read");
    expect(reads, "nothing that changes something is for readers").toEqual([]);
    const above = routes().filter(({ path }) => /\/(undo|revert|tokens|sessions|password|totp|account)\b/.test(path));
    const weak = above.filter(({ scope }) => !["open", "read", "admin", "local"].includes(scope));
    expect(weak, "whoever may only operate takes back no admin's change and touches no account").toEqual([]);
  });

  it("[A3] a route that does not say its scope fails the start", () => {
    const app = fastify();
    guardDoor(app, {} as Door);
    expect(() => app.get("/forgotten", () => "secret")).toThrow(/GET \/forgotten does not say who may use it/);
    expect(() => app.get("/said", { config: { scope: "read" } }, () => "secret")).not.toThrow();
  });

  it.each(Object.keys(ALLOWED))("[A3] lets in %s exactly where it may go", async (who) => {
    expect(await wrongFor(who)).toEqual([]);
  });

  it.each([
    ["another Host", 421, { host: "evil.example" }],
    ["a Host of the right name and another port", 421, { host: "localhost:1" }],
    ["no Host that we know, in IPv6", 421, { host: "[2001:db8::1]:8351" }],
    ["a foreign Origin", 403, { origin: "https://evil.example" }],
    ["the Origin of an opaque page", 403, { origin: "null" }],
    ["the Origin of another port here", 403, { origin: "http://127.0.0.1:1" }],
  ])("[A3] lets in nobody with %s, not with an admin's token either", async (_, status, headers) => {
    expect(await wrongWith(headers, status)).toEqual([]);
  });

  it("[A3] finds holes that are planted: each route that has one, and no other", async () => {
    const subnets = routes().filter(({ path }) => path.startsWith("/api/v1/subnets"));
    const named = ({ method, path }: Route) => `${method} ${path}:`;
    const isSubnets = (url = ""): boolean => url.startsWith("/api/v1/subnets");

    const trusting = await holed({ cameBySocket: ({ url }) => isSubnets(url) });
    const found = (await wrongFor("nobody", trusting)).map((each) => each.split(":")[0]);
    expect(found.map((each) => `${each}:`)).toEqual(subnets.map(named));
    expect(await wrongWith({ host: "evil.example" }, 421, trusting)).toHaveLength(2 * subnets.length);
    await trusting.close();

    const accounts = new Accounts(rig.deps, CHEAP);
    const holder = { id: "t1", scopes: ["admin"], ended: new AbortController().signal } as const;
    vi.spyOn(accounts.tokens, "use").mockResolvedValue(holder);
    const credulous = await holed({ accounts });
    expect(await wrongFor("nobody", credulous)).toEqual([]);
    const admins = routes().filter(({ scope }) => scope === "admin");
    const forReaders = await wrongFor("read", credulous);
    for (const route of admins) expect(forReaders.some((each) => each.startsWith(named(route)))).toBe(true);
    await credulous.close();

    const open = await holed({
      names: { isOurs: () => true, isOurOrigin: () => true, url: "" } as unknown as HostNames,
    });
    expect(await wrongWith({ host: "evil.example" }, 421, open)).toHaveLength(2 * routes().length);
    expect(await wrongWith({ origin: "https://evil.example" }, 403, open)).not.toEqual([]);
    await open.close();
  });

  it("[A3] leaves out no route that the server has", () => {
    const printed = [...rig.app.printRoutes({ commonPrefix: false }).matchAll(/\(([A-Z, ]+)\)$/gm)];
    const served = printed.flatMap(([, methods = ""]) => methods.split(", "));
    expect(served.sort()).toEqual(rig.app.routeScopes.map(({ method }) => method).sort());
  });

  it("[E5] lets whoever may operate confirm a trial of its own, and nobody else's", async () => {
    const trialOf = async (who: string, externalPort: number): Promise<string> => {
      const body = { ...WEB, externalPort };
      const sent = { method: "POST", body, headers: bearerOf(who) };
      const { body: made } = await send(tcp, "/api/v1/ports?confirmWithin=60", sent);
      return (made as { confirmation: { id: string } }).confirmation.id;
    };
    const confirm = async (id: string) =>
      (await send(tcp, `/api/v1/confirmations/${id}/confirm`, { method: "POST", headers: bearerOf("operate") })).status;
    const [own, other] = [await trialOf("operate", 8443), await trialOf("admin", 8444)];
    expect([await confirm(own), await confirm(other), await confirm("x1")]).toEqual([200, 403, 404]);
    expect(Object.keys(rig.controller.state.confirmations)).toEqual([other]);
  });

  it("[A3] takes a session's cookie from pages of ours only", async () => {
    cookie = cookieOf(await send(tcp, "/api/v1/sessions", { method: "POST", body: { password: PASSWORD } }));
    const origin = `http://127.0.0.1:${tcp.port}`;
    const wrong: string[] = [];
    for (const route of routes()) {
      const changes = CHANGES.includes(route.method);
      // It would end the session that the rest is asked by.
      if (route.method === "POST" && route.path === "/api/v1/sessions") continue;
      const cases: [string, Record<string, string>, boolean][] = [
        ["without Origin", {}, !changes],
        ["cross-site", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }, false],
        ["cross-site without Origin", { "sec-fetch-site": "cross-site" }, false],
        ["from another port of this host", { "sec-fetch-site": "same-site" }, false],
        ["typed by hand", { "sec-fetch-site": "none" }, !changes],
        ["from a page of ours", { origin, "sec-fetch-site": "same-origin" }, true],
        ["with Origin alone", { origin }, true],
      ];
      for (const [how, headers, wanted] of cases) {
        const got = await ask(route, { headers: { cookie, ...headers } });
        const mayGo = wanted && route.scope !== "local";
        if (letIn(got, route) !== mayGo) wrong.push(`${how} ${route.method} ${route.path}: ${got.status} ${got.text}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("[A3] takes no form: every content type but JSON is refused, on every route that changes something", async () => {
    const wrong: string[] = [];
    for (const route of routes().filter(({ method }) => CHANGES.includes(method))) {
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "",
      ]) {
        const headers = { authorization: `Bearer ${tokens["admin"]}`, "content-type": type };
        const got = await send(tcp, route.path, { method: route.method, body: "{}", headers });
        if (got.status !== 415) wrong.push(`${type} ${route.method} ${route.path}: ${got.status}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("[A3] does not take the first token once there is a password", async () => {
    expect(existsSync(join(folder, "api-token"))).toBe(false);
  });

  it("never lets a page read an answer: no CORS header is sent, whatever is asked", async () => {
    const origin = `http://127.0.0.1:${tcp.port}`;
    for (const [method, headers] of [
      ["GET", { origin }],
      ["OPTIONS", { origin, "access-control-request-method": "POST" }],
      ["OPTIONS", { origin: "https://evil.example", "access-control-request-method": "POST" }],
    ] as const) {
      const got = await send(tcp, "/api/v1/ports", { method, headers });
      expect(Object.keys(got.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(got.status).toBeGreaterThanOrEqual(400);
    }
  });
});
