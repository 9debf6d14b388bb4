import { createServer, request as ask, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeDocuments } from "../../../../src/adapters/upnp-server/documents.ts";
import { type Head, route } from "../../../../src/adapters/upnp-server/head.ts";
import { Requests } from "../../../../src/adapters/upnp-server/requests.ts";
import { answerUnreadable } from "../../../../src/adapters/upnp-server/unreadable.ts";
import { Subscriptions } from "../../../../src/adapters/upnp-server/subscriptions.ts";
import { RequestLog } from "../../../../src/lib/request-log.ts";
import { decodeResponse, encodeCall, soapActionText } from "../../../../src/protocols/upnp/soap.ts";
import { bytes, IDENTITY, Rig } from "./fixture.ts";

const documents = makeDocuments(IDENTITY);
const PLACE = { address: "192.168.77.1", port: 49001 };
const XML = 'text/xml; charset="utf-8"';
const head = (method: string, url: string, headers: Head["headers"] = {}): Head => ({
  method,
  url,
  headers: { host: "192.168.77.1:49001", "content-type": XML, ...headers },
});
const status = (...asked: Parameters<typeof head>): number => {
  const way = route(head(...asked), PLACE, documents.byPath);
  return way.kind === "refused" ? way.status : 200;
};

it("SEC-05 the Host is the address that was called, and nothing comes from a browser", () => {
  const names = ["evil.example", "192.168.77.1:80", "192.168.77.2:49001", "gateway.home.arpa:49001", "[::1]:49001", ""];
  for (const host of names) expect(status("GET", "/rootDesc.xml", { host }), host).toBe(403);
  expect(status("GET", "/rootDesc.xml", { host: "192.168.77.1" })).toBe(200);
  for (const host of [undefined, [], ["192.168.77.1", "192.168.77.1"], ["192.168.77.1:49001", "evil.example"]])
    expect(status("GET", "/rootDesc.xml", { host }), "RFC 9112 §3.2").toBe(400);
  for (const name of ["origin", "referer", "cookie", "sec-fetch-site"])
    expect(status("POST", "/ctl/IPConn", { [name]: "null" }), name).toBe(403);
});

it("SOAP-02 SEC-05 other methods are 405, other bodies 415, other paths 404", () => {
  expect(status("POST", "/ctl/IPConn")).toBe(200);
  expect(status("POST", "/ctl/IPConn", { "content-type": "application/xml" })).toBe(200);
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/xmlish",
    undefined,
  ])
    expect(status("POST", "/ctl/IPConn", { "content-type": type }), type).toBe(415);
  for (const method of ["M-POST", "GET", "PUT", "OPTIONS", "SUBSCRIBE"])
    expect(status(method, "/ctl/IPConn")).toBe(405);
  for (const method of ["POST", "DELETE"]) expect(status(method, "/rootDesc.xml")).toBe(405);
  expect(status("HEAD", "/rootDesc.xml")).toBe(200);
  expect(status("GET", "/evt/IPConn")).toBe(405);
  expect(status("UNSUBSCRIBE", "/evt/L3F")).toBe(200);
  for (const url of [
    "/",
    "/rootDesc.xml?",
    "/../etc/passwd",
    "//rootDesc.xml",
    "http://192.168.77.1/",
    "http://192.168.77.1",
    "http://192.168.77.1?/rootDesc.xml",
    "/http://192.168.77.1/rootDesc.xml",
    "/__proto__",
  ])
    expect(status("GET", url), url).toBe(404);
});

it("RFC 9112 §3.2.2: a target may be a whole URL, whose host is the one that counts", () => {
  const evil = { host: "evil.example" };
  for (const url of ["http://192.168.77.1:49001/rootDesc.xml", "HTTP://192.168.77.1/rootDesc.xml"]) {
    expect(status("GET", url), url).toBe(200);
    expect(status("GET", url, evil), url).toBe(200);
  }
  expect(status("POST", "http://192.168.77.1:49001/ctl/IPConn")).toBe(200);
  for (const url of [
    "http://evil.example/rootDesc.xml",
    "http://192.168.77.1:80/rootDesc.xml",
    "http://192.168.77.1:49001@evil.example/rootDesc.xml",
    "http:///rootDesc.xml",
  ])
    expect(status("GET", url), url).toBe(403);
  for (const name of ["origin", "referer"])
    expect(status("POST", "http://192.168.77.1:49001/ctl/IPConn", { [name]: "null" })).toBe(403);
});

let rig: Rig;
let log: RequestLog;
let server: Server;
let port: number;

beforeEach(async () => {
  rig = new Rig();
  log = new RequestLog();
  const subscriptions = new Subscriptions({
    clock: rig.clock,
    valuesOf: () => Promise.resolve({}),
    post: () => Promise.resolve(true),
  });
  const requests = new Requests({
    identity: IDENTITY,
    documents,
    control: rig.control,
    subscriptions,
    clock: rig.clock,
    requests: log,
    requestsPerSecond: () => 5,
  });
  server = createServer({ requireHostHeader: false }, (...asked) =>
    requests.receive({ interface: "lan0", address: "127.0.0.1", port }, ...asked),
  );
  answerUnreadable(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

interface Said {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function send(method: string, path: string, headers: Record<string, string> = {}, body = ""): Promise<Said> {
  return new Promise((resolve, reject) => {
    const sent = ask(
      { host: "127.0.0.1", port, method, path, headers: { "Content-Type": XML, ...headers }, agent: false },
      (said) => {
        let text = "";
        said.setEncoding("utf8").on("data", (piece) => (text += piece));
        said.on("end", () => resolve({ status: said.statusCode, headers: said.headers, body: text }));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** The first line of what comes back for octets as they are. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let said = "";
    socket.setEncoding("utf8").on("data", (piece: string) => (said += piece));
    socket.on("error", () => undefined).on("close", () => resolve(said.split("\r\n")[0] ?? ""));
  });
}

it("SOAP-02 a method that nobody knows is 501, M-POST 405, and what is no request 400", async () => {
  const host = `Host: 127.0.0.1:${port}\r\n`;
  const post = `POST /ctl/IPConn HTTP/1.1\r\n${host}Content-Type: text/xml\r\n`;
  const cases: [string, string][] = [
    [`M-POST /ctl/IPConn HTTP/1.1\r\n${host}MAN: "x"; ns=01\r\nContent-Length: 0\r\n\r\n`, "405 Method Not Allowed"],
    [`BREW /ctl/IPConn HTTP/1.1\r\n${host}\r\n`, "501 Not Implemented"],
    ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 Bad Request"],
    [`GET /rootDesc.xml HTTP/9.9\r\n${host}\r\n`, "400 Bad Request"],
    [`${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, "400 Bad Request"],
    [`${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, "400 Bad Request"],
    [`GET /rootDesc.xml HTTP/1.1\r\n${host}X: ${"x".repeat(20_000)}\r\n\r\n`, "431 Request Header Fields Too Large"],
    [`GET /rootDesc.xml HTTP/1.1\r\n${host}${host}\r\n`, "400 Bad Request"],
    ["GET /rootDesc.xml HTTP/1.1\r\n\r\n", "400 Bad Request"],
    [`GET http://127.0.0.1:${port}/rootDesc.xml HTTP/1.1\r\nHost: evil.example\r\n\r\n`, "200 OK"],
  ];
  for (const [text, said] of cases) expect(await sendRaw(text), text.slice(0, 40)).toBe(`HTTP/1.1 ${said}`);
});

it("IGD-22 a query for a variable is 404 as a fault", async () => {
  const query = `<u:QueryStateVariable xmlns:u="urn:schemas-upnp-org:control-1-0"><u:varName>ConnectionStatus</u:varName></u:QueryStateVariable>`;
  const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${query}</s:Body></s:Envelope>`;
  const said = await send(
    "POST",
    "/ctl/IPConn",
    { SOAPAction: '"urn:schemas-upnp-org:control-1-0#QueryStateVariable"' },
    body,
  );
  expect(said.status).toBe(500);
  expect(decodeResponse(bytes(said.body))).toMatchObject({ number: 404 });
});

const CALL = {
  service: { kind: "service", name: "WANIPConnection", version: 1 } as const,
  action: "GetExternalIPAddress",
};

it("DESC-07 a description, as control points want it", async () => {
  const said = await send("GET", "/rootDesc.xml");
  expect(said.status).toBe(200);
  expect(said.headers).toMatchObject({ "content-type": XML, connection: "close", server: IDENTITY.server });
  expect(said.headers["content-length"]).toBe(String(said.body.length));
  expect(said.body).toBe(documents.byPath.get("/rootDesc.xml"));
  expect((await send("HEAD", "/rootDesc.xml")).body).toBe("");
});

it("SOAP-03 SOAP-04 SOAP-06 an action, with a length or in chunks, and a fault", async () => {
  const headers = { SOAPAction: soapActionText(CALL) };
  const said = await send("POST", "/ctl/IPConn", headers, encodeCall(CALL, []));
  expect(said).toMatchObject({ status: 200, headers: { ext: "", "content-type": XML } });
  expect(decodeResponse(bytes(said.body))).toMatchObject({ args: new Map([["NewExternalIPAddress", "11.22.33.1"]]) });
  expect(
    (await send("POST", "/ctl/IPConn", { ...headers, "Transfer-Encoding": "chunked" }, encodeCall(CALL, []))).status,
  ).toBe(200);
  expect((await send("POST", "/ctl/IPConn", { ...headers, Expect: "100-continue" }, encodeCall(CALL, []))).status).toBe(
    200,
  );
  expect((await send("POST", "/ctl/CmnIfCfg", headers, encodeCall(CALL, []))).status).toBe(500);
  expect(log.list().map(({ protocol, request, decision }) => `${protocol} ${request} ${decision}`)).toEqual([
    "upnp GetExternalIPAddress refused",
    ...Array.from({ length: 3 }, () => "upnp GetExternalIPAddress answered"),
  ]);
});

it("SEC-06 more than 16 KiB is not read to its end", async () => {
  const said = await send("POST", "/ctl/IPConn", { SOAPAction: soapActionText(CALL) }, "x".repeat(17 * 1024));
  expect(said.status).toBe(413);
});

it("SEC-10 so many requests a second; more wait their turn for two seconds, and the rest are told so", async () => {
  let heard = 0;
  server.on("request", () => (heard += 1));
  const all = Promise.all(Array.from({ length: 20 }, () => send("GET", "/L3F.xml")));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (heard < 20) await turn();
  for (let waited = 0; waited <= 2100; waited += 20) {
    rig.clock.advance(20);
    await turn();
  }
  const answers = (await all).map(({ status: each }) => each);
  const granted = answers.filter((each) => each === 200).length;
  expect(granted).toBeGreaterThanOrEqual(14);
  expect(granted).toBeLessThanOrEqual(16);
  expect(answers.filter((each) => each === 503).length).toBe(20 - granted);
});

it("GENA-01 GENA-02 GENA-06 subscribing, renewing, ending, and a callback to somebody else", async () => {
  const good = { CALLBACK: "<http://127.0.0.1:5000/>", NT: "upnp:event", TIMEOUT: "Second-300" };
  const said = await send("SUBSCRIBE", "/evt/IPConn", good);
  expect(said).toMatchObject({ status: 200, headers: { timeout: "Second-300" } });
  const sid = String(said.headers["sid"]);
  expect(sid).toMatch(/^uuid:[0-9a-f-]{36}$/);
  expect((await send("SUBSCRIBE", "/evt/IPConn", { SID: sid, TIMEOUT: "Second-infinite" })).headers).toMatchObject({
    timeout: "Second-1800",
  });
  expect((await send("UNSUBSCRIBE", "/evt/IPConn", { SID: sid })).status).toBe(200);
  expect((await send("UNSUBSCRIBE", "/evt/IPConn", { SID: sid })).status).toBe(412);
  const foreign = { ...good, CALLBACK: "<http://127.0.0.1:5000/><http://192.168.77.3:5000/>" };
  expect((await send("SUBSCRIBE", "/evt/IPConn", foreign)).status).toBe(412);
});
