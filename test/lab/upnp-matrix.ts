import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { decodePropertySet } from "../../src/protocols/upnp/gena.ts";
import { encodeSearch } from "../../src/protocols/upnp/ssdp.ts";
import { ControlPoint, portMapping } from "./control-point.ts";
import { eventually, type Lab } from "./lab.ts";
import { WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";
import { descriptionOf, external, PORT } from "./upnp-clients.ts";

const bytes = (said: string): Uint8Array => new TextEncoder().encode(said);

const subscription = (address: string, port = 5000) => ({
  CALLBACK: `<http://${address}:${port}/events>`,
  NT: "upnp:event",
  TIMEOUT: "Second-300",
});

/** GENA-03, IGD-14: the first event has everything, later ones what changed; an end is an end. */
export async function eventsArrive(lab: Lab, one: ControlPoint): Promise<void> {
  const { address } = one.host;
  await one.listen(5000);
  const said = await one.subscribe(subscription(address));
  expect(said).toMatchObject({ status: 200, headers: { timeout: "Second-300" } });
  const sid = said.headers["sid"] ?? "";
  const events = async (count: number) => {
    return await eventually(async () => {
      const all = await one.received();
      expect(all.length).toBe(count);
      return all.map(({ headers, body }) => ({ headers, values: decodePropertySet(bytes(body)) }));
    });
  };
  const [first] = await events(1);
  expect(first?.headers).toMatchObject({
    method: "NOTIFY",
    url: "/events",
    sid,
    seq: "0",
    nt: "upnp:event",
    nts: "upnp:propchange",
  });
  expect(first?.values).toMatchObject({
    ConnectionStatus: "Connected",
    ExternalIPAddress: WAN_GATEWAY,
    PortMappingNumberOfEntries: "0",
  });
  const before = Number(first?.values["SystemUpdateID"]);
  expect(await one.action("AddPortMapping", portMapping(address))).toEqual({});
  const [, second] = await events(2);
  expect(second?.headers["seq"]).toBe("1");
  expect(second?.values).toEqual({ PortMappingNumberOfEntries: "1", SystemUpdateID: String(before + 1) });
  expect((await one.http({ method: "UNSUBSCRIBE", path: "/evt/IPConn", headers: { SID: sid } })).status).toBe(200);
  expect(
    await one.action("DeletePortMapping", { NewRemoteHost: "", NewExternalPort: 8090, NewProtocol: "TCP" }),
  ).toEqual({});
  expect(await external(lab)).toEqual([]);
}

const FORGED_SEARCH = fileURLToPath(new URL("programs/forged-search.py", import.meta.url));
const FORGED_PORT = 41_900;

/** GENA-06 SEC-03: CallStranger, and 10,000 subscriptions. */
export async function callbacksOfOthers(lab: Lab, one: ControlPoint, other: ControlPoint): Promise<void> {
  await other.listen(5000);
  const strangers = [other.host.address, lab.server, WAN_STRANGER, "127.0.0.1", "gateway.example"];
  for (const address of strangers) expect((await one.subscribe(subscription(address))).status, address).toBe(412);
  const list = `${subscription(one.host.address).CALLBACK}<http://${other.host.address}:5000/>`;
  expect((await one.subscribe({ ...subscription(one.host.address), CALLBACK: list })).status).toBe(412);
  expect((await one.subscribe(subscription(one.host.address, 80))).status, "a well-known port").toBe(412);
  const seen = await one.subscribeMany(10_000);
  expect(seen[200]).toBeLessThanOrEqual(8);
  expect((seen[200] ?? 0) + (seen[503] ?? 0)).toBe(10_000);
  expect((await other.subscribe(subscription(other.host.address))).status, "another is served as ever").toBe(200);
  await eventually(async () => expect((await other.received()).length).toBe(1));
}

/** SEC-05: a page from anywhere, by the browser of somebody here. */
export async function browsers(lab: Lab, one: ControlPoint): Promise<void> {
  await eventually(async () => expect((await one.http({ method: "GET", path: "/rootDesc.xml" })).status).toBe(200));
  const get = async (headers: Record<string, string>) =>
    (await one.http({ method: "GET", path: "/rootDesc.xml", headers })).status;
  expect(await get({ Host: "evil.example" })).toBe(403);
  expect(await get({ Host: `evil.example:${PORT}` })).toBe(403);
  expect(await get({ Host: `${WAN_GATEWAY}:${PORT}` })).toBe(403);
  expect(await get({ Origin: "http://evil.example" })).toBe(403);
  const action = "urn:schemas-upnp-org:service:WANIPConnection:1";
  const args = Object.entries(portMapping(one.host.address)).map(([name, value]) => `<${name}>${value}</${name}>`);
  const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:AddPortMapping xmlns:u="${action}">${args.join("")}</u:AddPortMapping></s:Body></s:Envelope>`;
  const post = async (headers: Record<string, string>) =>
    (await one.http({ method: "POST", path: "/ctl/IPConn", headers, body })).status;
  expect(await post({ "Content-Type": "text/plain" })).toBe(415);
  expect(await post({ "Content-Type": "text/plain", SOAPAction: `"${action}#AddPortMapping"` })).toBe(415);
  expect(await post({ "Content-Type": "text/xml" }), "no SOAPAction").toBe(403);
  expect(await post({ "Content-Type": "text/xml", SOAPAction: `"${action}#AddPortMapping"`, Origin: "null" })).toBe(
    403,
  );
  expect((await one.http({ method: "OPTIONS", path: "/ctl/IPConn" })).status).toBe(405);
  expect(await external(lab)).toEqual([]);
}

/** SEC-06. */
export async function hostileXml(one: ControlPoint): Promise<void> {
  const headers = {
    "Content-Type": "text/xml",
    SOAPAction: '"urn:schemas-upnp-org:service:WANIPConnection:1#GetExternalIPAddress"',
  };
  const post = async (body: string) => (await one.http({ method: "POST", path: "/ctl/IPConn", headers, body })).status;
  const entities = Array.from(
    { length: 12 },
    (_, index) => `<!ENTITY e${index + 1} "${`&e${index};`.repeat(10)}">`,
  ).join("");
  expect(await post(`<!DOCTYPE l [<!ENTITY e0 "ha">${entities}]><l>&e12;</l>`)).toBe(400);
  expect(await post('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>')).toBe(400);
  expect(await post("<a>".repeat(5000))).toBe(400);
  expect(await post(`<a ${"b='' ".repeat(3000)}/>`)).toBe(400);
  expect(await post("x".repeat(17 * 1024))).toBe(413);
  expect(await one.action("GetExternalIPAddress")).toEqual({ NewExternalIPAddress: WAN_GATEWAY });
}

/** SEC-02, SEC-11, IGD-08, IGD-09. */
export async function mappingsOfOthers(lab: Lab, one: ControlPoint, other: ControlPoint): Promise<void> {
  const mine = one.host.address;
  const add = (more: Record<string, string | number>) => one.action("AddPortMapping", portMapping(mine, more));
  for (const client of [other.host.address, lab.server, "127.0.0.1", "255.255.255.255", WAN_STRANGER])
    expect(await add({ NewInternalClient: client }), client).toBe(606);
  expect(await add({ NewExternalPort: 22 })).toBe(606);
  expect(await add({ NewExternalPort: 1900, NewProtocol: "UDP" }), "SSDP's own").toBe(729);
  expect(await add({ NewExternalPort: 5351, NewProtocol: "UDP" }), "port control's own").toBe(729);
  await lab.onGateway.listen({ tcp: [7000], address: WAN_GATEWAY });
  await eventually(async () => {
    const { state } = await lab.gateway.json<{ state: { listeners: unknown } }>("state", "show");
    expect(state.listeners).toContainEqual({ protocol: "tcp", port: 7000 });
  }, 10_000);
  expect(await add({ NewExternalPort: 7000 }), "a listener of the gateway").toBe(729);
  await lab.onGateway.stopListening({ tcp: [7000] });
  expect(await add({})).toEqual({});
  const key = { NewRemoteHost: "", NewExternalPort: 8090, NewProtocol: "TCP" };
  expect([606, 714]).toContain(await other.action("DeletePortMapping", key));
  expect(await other.action("GetSpecificPortMappingEntry", key)).toBe(714);
  const all = { NewStartPort: 1, NewEndPort: 65535, NewProtocol: "TCP", NewManage: 1 };
  expect(await other.action("DeletePortMappingRange", all, "/ctl/IPConn", 2)).toBe(730);
  expect(await external(lab)).toEqual([`tcp 8090 ${mine}:8080 upnp`]);
  expect(await one.action("DeletePortMappingRange", all, "/ctl/IPConn", 2)).toEqual({});
}

/** SEC-04 SSDP-09 SSDP-12: a whole answer once, and then no more than three times what came. */
export async function searchesAreNoReflector(lab: Lab, one: ControlPoint): Promise<void> {
  const message = encodeSearch("ssdp:all", 1);
  const answers = await one.search({ message, waitMs: 300 });
  expect(new Set(answers.map(({ from, port }) => `${from}:${port}`))).toEqual(new Set([`${lab.server}:1900`]));
  expect(answers.length).toBe(10);
  const flood = await one.search({ to: lab.server, message: message.replace(/MX.*\r\n/, ""), count: 500, waitMs: 500 });
  const octets = flood.reduce((sum, { text: said }) => sum + said.length, 0);
  expect(octets).toBeLessThanOrEqual(3 * 500 * message.length);
  await forged(lab, one);
}

/** SEC-04: to a source that is on the link an answer goes, whoever sent the search; to one that is not, none. */
async function forged(lab: Lab, one: ControlPoint): Promise<void> {
  const heard = [lab.topology.clients[1], lab.topology.internet].map(async (host) => {
    if (host === undefined) throw new Error("no client");
    const point = new ControlPoint(host, { host: lab.server, port: PORT });
    try {
      await point.hearUdp(FORGED_PORT);
      await one.host.exec("python3", FORGED_SEARCH, host.address, String(FORGED_PORT), lab.server);
      return await point.heardUdp(1500);
    } finally {
      await point.close();
    }
  });
  const [onLink, offLink] = await Promise.all(heard);
  expect(onLink, "the program does send").toBeGreaterThan(0);
  expect(offLink).toBe(0);
}

/** SEC-10: who holds all connections that one may, holds nobody else up. */
export async function slowOnes(lab: Lab, one: ControlPoint, other: ControlPoint): Promise<void> {
  expect(await one.hold(64)).toBeLessThanOrEqual(16);
  expect(await other.action("GetExternalIPAddress")).toEqual({ NewExternalIPAddress: WAN_GATEWAY });
  await lab.client(2).host.exec("curl", "-sf", "-m", "3", descriptionOf(lab));
  // One connection is one request, whatever else is sent on it.
  const asked = `GET /nothing HTTP/1.1\r\nHost: ${lab.server}:${PORT}\r\n\r\n`;
  const program = `const socket = require("node:net").connect(${PORT}, ${JSON.stringify(lab.server)});
    socket.write(${JSON.stringify(asked)}.repeat(3000));
    socket.on("error", () => {}).resume();`;
  await lab.client(2).host.exec(process.execPath, "-e", program);
  const requests = await lab.gateway.json<{ request: string }[]>("request", "list");
  expect(requests.filter(({ request }) => request === "GET /nothing")).toHaveLength(1);
}

/** IGD-19 SEC-01: not at its own address, and not at the LAN's, to which the stranger has a route. */
export async function fromTheWan(lab: Lab): Promise<void> {
  const stranger = lab.topology.internet;
  for (const host of [WAN_GATEWAY, lab.server]) {
    const point = new ControlPoint(stranger, { host, port: PORT });
    const get = point.http({ method: "GET", path: "/rootDesc.xml", headers: { Host: `${lab.server}:${PORT}` } });
    const found = await point.search({ to: host, message: encodeSearch("ssdp:all", 1), waitMs: 300 });
    expect(found, host).toEqual([]);
    const refused = await Promise.race([get, new Promise<null>((resolve) => setTimeout(() => resolve(null), 500))]);
    expect(refused?.status ?? 0, host).toBe(0);
    await point.kill();
  }
}

/** SSDP-03 SSDP-05 SSDP-14: goodbye at the end, and at the start goodbye, then alive, with a greater BOOTID. */
export async function announcements(lab: Lab, one: ControlPoint): Promise<void> {
  await one.hear();
  await lab.gateway.stop();
  await lab.gateway.start();
  const kinds = ["ssdp:byebye", "ssdp:alive"];
  const bootIds = await eventually(async () => {
    const heard = await one.announced();
    const of = (kind: string) => heard.filter((text) => text.includes(`NTS: ${kind}\r\n`));
    expect(kinds.map((kind) => of(kind).length)).toEqual([20, 20]);
    return kinds.map((kind) => Number(/BOOTID.UPNP.ORG: (\d+)/.exec(of(kind)[0] ?? "")?.[1]));
  });
  expect(bootIds[1]).toBeGreaterThan(bootIds[0] ?? 0);
}
