import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { Route } from "../../src/api/schemas/route.ts";
import { UPNP_HTTP_PORT } from "../../src/lib/upnp-port.ts";
import type { Agent } from "./agent.mjs";
import { ControlPoint, portMapping } from "./control-point.ts";
import { haproxiesOf } from "./haproxy-driver.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { encodeAnnounce, hostnameOption, type MapRequest, newNonce, type Reply } from "./programs/pcp-wire.mjs";
import { makeCertificate, SniBackend } from "./sni-lab.ts";
import { WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

const NAMES = ["a.example.org", "b.example.org", "c.example.org"];

const named = (...names: string[]): Partial<MapRequest> => ({ options: names.map(hostnameOption).join("") });

/** Whom a visitor of the internet reaches by a name, and what that one sees. */
async function ask(lab: Lab, name: string): Promise<{ name: string; from: string } | null> {
  const resolve = `${name}:443:${WAN_GATEWAY}`;
  const curl = ["curl", "-sk", "--max-time", "5", "--resolve", resolve, `https://${name}/`];
  const said = await lab.topology.internet.exec(...(curl as [string, ...string[]])).catch(() => "");
  return said === "" ? null : JSON.parse(said);
}

async function redirect(lab: Lab, name: string): Promise<string> {
  const form = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
  const host = ["--resolve", `${name}:80:${WAN_GATEWAY}`, `http://${name}/p?q=1`];
  return await lab.topology.internet.exec("curl", "-s", "--max-time", "5", ...form, ...host).catch(() => "nobody");
}

const map = (lab: Lab, client: Agent, request: Partial<MapRequest>): Promise<Reply | null> =>
  lab.map(client, { protocol: "tcp", internalPort: 443, suggestedPort: 443, lifetime: 3600, ...request });

scenario(
  "[P6] [F5] [F6] StartOS's sequence leads names to their hosts, beside an operator's routes and who has the rest of the port; each is renewed and deleted for itself, and nothing else closes",
  {
    clients: 3,
    needs: ["haproxy", "curl", "openssl"],
    config: { lan: [{ interface: "lan0", nonce: "same-host" }] },
    timeoutMs: 120_000,
  },
  async (lab) => {
    const folder = mkdtempSync(join(tmpdir(), "portreeve-routes-"));
    const backends = lab.topology.clients.map((host, index) => {
      makeCertificate(folder, `host${index}`);
      return new SniBackend(host, `host${index}`, folder);
    });
    try {
      await startos(lab);
      await beside(lab);
      await pair(lab);
      await byUpnp(lab);
      await operators(lab);
    } finally {
      await Promise.all(backends.map((backend) => backend.close()));
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

const nonce = newNonce();

/** ANNOUNCE → marker → MAP with names → echo, from bytes. */
async function startos(lab: Lab): Promise<void> {
  const client = lab.client(0);
  const announced = await eventually(async () => {
    const bytes = encodeAnnounce(client.address);
    const reply = await client.pcp({ server: lab.server, bytes, timeoutMs: 2000 });
    expect(reply).toMatchObject({ result: 0, length: 32 });
    return reply;
  }, 10_000);
  expect(announced?.opcode).toBe(0);
  expect(haproxiesOf(lab.topology.gateway)).toEqual([]);

  const wanted = { nonce, ...named(...NAMES) };
  const granted = await map(lab, client, wanted);
  expect(granted).toMatchObject({ result: 0, externalPort: 443, lifetime: 3600, options: wanted.options });
  for (const name of NAMES)
    expect(await ask(lab, name), name).toEqual({ name: "host0", from: WAN_STRANGER, port: expect.any(Number) });
  expect(await ask(lab, "d.example.org")).toBeNull();
  expect(await redirect(lab, "a.example.org")).toBe("308 https://a.example.org/p?q=1");
  expect(await map(lab, client, wanted)).toMatchObject({ result: 0, options: wanted.options });

  const other = lab.client(1);
  const taken = await map(lab, other, named("d.example.org", "b.example.org"));
  expect(taken).toMatchObject({ result: 192, lifetime: 30 });
  expect(await ask(lab, "d.example.org"), "all or nothing").toBeNull();
  expect(await map(lab, other, { ...named("d.example.org"), protocol: "udp" })).toMatchObject({
    result: 193,
    lifetime: 1800,
  });
  expect(await map(lab, other, named("-d.example.org"))).toMatchObject({ result: 193 });
  const set = `${hostnameOption("d.example.org")}82000005000401bb00000000`;
  expect(await map(lab, other, { options: set })).toMatchObject({ result: 6 });
}

/** An operator's wildcard, and the rest of the port. */
async function beside(lab: Lab): Promise<void> {
  const [, wild, rest] = lab.clients;
  if (wild === undefined || rest === undefined) throw new Error("no clients");
  expect(await lab.gateway.cli("route", "add", "*.example.org", wild.address, "--label", "web")).toMatchObject({
    code: 0,
  });
  expect(await map(lab, rest, {})).toMatchObject({ result: 0, externalPort: 443 });
  const led = {
    "a.example.org": "host0",
    "x.example.org": "host1",
    "x.y.example.org": "host2",
    "example.net": "host2",
  };
  for (const [name, host] of Object.entries(led)) {
    expect(await ask(lab, name), name).toMatchObject({ name: host, from: WAN_STRANGER });
  }
}

/** 80→443 beside 443→443 with three names: each is given back for itself. */
async function pair(lab: Lab): Promise<void> {
  const client = lab.client(0);
  const plain = { nonce: newNonce(), suggestedPort: 80 };
  expect(await map(lab, client, plain)).toMatchObject({ result: 0, externalPort: 80 });
  expect(await redirect(lab, "a.example.org"), "a forward on 80 keeps the redirect away").not.toMatch(/^308/);
  const left = new Set(NAMES);
  for (const name of ["b.example.org", "a.example.org"]) {
    const deleted = await map(lab, client, { nonce, lifetime: 0, ...named(name) });
    expect(deleted).toMatchObject({ result: 0, lifetime: 0, ...named(name) });
    left.delete(name);
    for (const each of left) expect(await ask(lab, each), each).toMatchObject({ name: "host0" });
    expect(await ask(lab, name), name).toMatchObject({ name: "host1" });
  }
  expect(await map(lab, client, { ...plain, lifetime: 0 })).toMatchObject({ result: 0 });
  expect(await ask(lab, "c.example.org"), "a delete of the whole port is of no name").toMatchObject({ name: "host0" });
  await eventually(async () => expect(await redirect(lab, "c.example.org")).toMatch(/^308/));
  expect(await map(lab, client, { nonce, ...named("c.example.org") })).toMatchObject({ result: 0 });
}

/** [P10] What StartOS asks where it hears no PCP: found in the SCPD, owned as by PCP, given back for itself. */
async function byUpnp(lab: Lab): Promise<void> {
  const [owner, other] = [0, 1].map((client) => {
    return new ControlPoint(lab.client(client).host, { host: lab.server, port: UPNP_HTTP_PORT });
  }) as [ControlPoint, ControlPoint];
  const add = (point: ControlPoint, name: string, more: Readonly<Record<string, string | number>> = {}) => {
    const whole = { NewExternalPort: 443, NewInternalPort: 443, NewLeaseDuration: 0, NewHostname: name, ...more };
    return point.action("X_START9_AddHostnameMapping", portMapping(point.host.address, whole));
  };
  const drop = (point: ControlPoint, name: string) => {
    const place = { NewRemoteHost: "", NewExternalPort: 443, NewProtocol: "TCP", NewInternalPort: 443 };
    return point.action("X_START9_DeleteHostnameMapping", { ...place, NewHostname: name });
  };
  try {
    for (const path of ["/WANIPCn.xml", "/WANIPCn2.xml"])
      expect((await owner.http({ method: "GET", path })).body).toContain("<name>X_START9_AddHostnameMapping</name>");
    expect(await add(owner, "a.example.net")).toEqual({});
    expect(await add(owner, "a.example.net"), "again").toEqual({});
    expect(await ask(lab, "a.example.net")).toMatchObject({ name: "host0", from: WAN_STRANGER });
    expect(await add(other, "a.example.net")).toBe(800);
    expect(await add(owner, "a.example.org"), "all names of its kind are another's").toBe(800);
    expect(await add(other, "a_b")).toBe(801);
    expect(await add(other, "b.example.net", { NewRemoteHost: WAN_STRANGER })).toBe(801);
    expect(await add(other, "b.example.net", { NewInternalClient: owner.host.address })).toBe(606);
    expect(await drop(other, "a.example.net"), "another's").toBe(606);
    expect(await drop(owner, "b.example.net"), "what is not there").toBe(714);
    expect(await drop(owner, "a.example.net")).toEqual({});
    expect(await ask(lab, "a.example.net"), "who has the rest").toMatchObject({ name: "host2" });
  } finally {
    await Promise.all([owner.close(), other.close()]);
  }
}

/** By the command line: listed with what was led, told why, switched, undone and removed. */
async function operators(lab: Lab): Promise<void> {
  const { gateway } = lab;
  const routes = await gateway.json<Route[]>("route", "list");
  expect(routes.map(({ name, source, sync }) => [name, source, sync])).toEqual([
    ["*.example.org", "manual", "synced"],
    ["c.example.org", "pcp", "synced"],
  ]);
  expect(routes[1]?.connections?.total).toBeGreaterThan(2);
  expect((await gateway.ports()).map(({ external }) => external.port)).toEqual([443]);
  const why = await gateway.cli("why", "route", "c.example.org");
  expect(why.stdout).toContain(`sni-routes: route|${WAN_GATEWAY}|443|c.example.org is in the kernel`);
  const plan = await gateway.cli("route", "remove", "c.example.org", "--dry-run");
  expect(plan).toMatchObject({ code: 10 });
  expect(plan.stdout).toContain(`route|${WAN_GATEWAY}|443|c.example.org`);
  expect(await gateway.cli("route", "disable", "c.example.org")).toMatchObject({ code: 0 });
  expect(await ask(lab, "c.example.org")).toMatchObject({ name: "host1" });
  expect(await gateway.cli("undo")).toMatchObject({ code: 0 });
  expect(await ask(lab, "c.example.org")).toMatchObject({ name: "host0" });
  expect(await gateway.cli("route", "edit", "*.example.org", "--to", lab.client(2).address)).toMatchObject({ code: 0 });
  expect(await ask(lab, "x.example.org")).toMatchObject({ name: "host2" });
  for (const name of ["c.example.org", "*.example.org"]) {
    expect(await gateway.cli("route", "remove", name, "--yes")).toMatchObject({ code: 0 });
  }
  expect(await ask(lab, "c.example.org"), "who has the whole port").toMatchObject({ name: "host2" });
  await eventually(async () => expect(haproxiesOf(lab.topology.gateway)).toEqual([]));
  expect(await redirect(lab, "c.example.org")).toBe("nobody");
}
