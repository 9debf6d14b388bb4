// UPnP: SSDP datagrams, the head of an HTTP request, SOAP, and the documents that another gateway gives.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, words } from "./loading.mjs";

const SSDP = words(
  "M-SEARCH * HTTP/1.1\r\n",
  "NOTIFY * HTTP/1.1\r\n",
  "HTTP/1.1 200 OK\r\n",
  "\r\n",
  "HOST: 239.255.255.250:1900\r\n",
  'MAN: "ssdp:discover"\r\n',
  "MX: 2\r\n",
  "ST: ssdp:all\r\n",
  "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n",
  "NT: upnp:rootdevice\r\n",
  "NTS: ssdp:alive\r\n",
  "USN: uuid:1::upnp:rootdevice\r\n",
  "LOCATION: http://192.168.77.1:49001/rootDesc.xml\r\n",
  ": ",
);
const XML = words(
  '<?xml version="1.0"?>',
  "<!DOCTYPE a [<!ENTITY b 'c'>]>",
  "<![CDATA[",
  "]]>",
  "<!--",
  "-->",
  "&amp;",
  "&#65;",
  "&#x0;",
  "<?p ?>",
  "</",
  "/>",
  ' xmlns=""',
  '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">',
  "<s:Body>",
  "</s:Body></s:Envelope>",
  '<u:AddPortMapping xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">',
  "</u:AddPortMapping>",
  "<NewExternalPort>65536</NewExternalPort>",
  "<NewRemoteHost/>",
  "<s:Fault>",
  "<errorCode>718</errorCode>",
  "\ufeff",
  "\u0000",
);
const HEAD = words(
  "GET ",
  "POST ",
  "SUBSCRIBE ",
  "UNSUBSCRIBE ",
  "/rootDesc.xml",
  "/ctl/IPConn",
  "/evt/IPConn",
  "\n",
  "host: 192.168.77.1:49001\n",
  "origin: x\n",
  "content-type: text/xml\n",
  "sid: uuid:1\n",
  "nt: upnp:event\n",
  "timeout: Second-300\n",
  "callback: <http://192.168.77.2:5000/>\n",
  "callback: <http://192.168.77.3:5000/>\n",
  'soapaction: "urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping"\n',
);
const PLACE = { address: "192.168.77.1", port: 49001 };
const CALLER = "192.168.77.2";

/** @param {string} text */
const octets = (text) => new TextEncoder().encode(text);

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function upnpTargets(load) {
  /** @type {typeof import("../../../src/protocols/upnp/error.ts")} */
  const { UpnpDecodeError, UpnpFault } = await load("protocols/upnp/error");
  /** @type {typeof import("../../../src/protocols/upnp/ssdp.ts")} */
  const ssdp = await load("protocols/upnp/ssdp");
  /** @type {typeof import("../../../src/protocols/upnp/soap.ts")} */
  const soap = await load("protocols/upnp/soap");
  /** @type {typeof import("../../../src/protocols/upnp/gena.ts")} */
  const gena = await load("protocols/upnp/gena");
  /** @type {typeof import("../../../src/protocols/upnp/description.ts")} */
  const { decodeDescription, encodeDescription } = await load("protocols/upnp/description");
  /** @type {typeof import("../../../src/protocols/upnp/scpd.ts")} */
  const { decodeScpd } = await load("protocols/upnp/scpd");
  /** @type {typeof import("../../../src/protocols/upnp/port-listing.ts")} */
  const { decodePortListing, encodePortListing } = await load("protocols/upnp/port-listing");
  /** @type {typeof import("../../../src/adapters/upnp-server/head.ts")} */
  const { route } = await load("adapters/upnp-server/head");
  /** @type {typeof import("../../../src/adapters/upnp-server/event-post.ts")} */
  const { callbackOf } = await load("adapters/upnp-server/event-post");

  /** @template T @param {() => T} decode */
  const read = (decode) => decoded(UpnpDecodeError, decode);

  /** @param {Buffer} bytes */
  const datagram = (bytes) => {
    const message = read(() => ssdp.decodeSsdp(bytes));
    if (message === undefined) return false;
    for (const value of Object.values(message))
      ok(typeof value !== "string" || !/[\r\n]/.test(value), "a line ends in it");
    if (message.kind === "search") {
      const again = ssdp.decodeSsdp(octets(ssdp.encodeSearch(message.target, message.maxWait)));
      if (/^[ -~]*$/.test(message.target)) deepStrictEqual(again, message);
    }
    return true;
  };
  /** @param {Buffer} bytes */
  const call = (bytes) => {
    const message = read(() => soap.decodeCall(bytes));
    if (message === undefined) return false;
    deepStrictEqual(soap.decodeCall(octets(soap.encodeCall(message, message.args))), withoutReturns(message));
    return true;
  };
  /** @param {Buffer} bytes */
  const response = (bytes) => {
    const message = read(() => soap.decodeResponse(bytes));
    if (message === undefined) return false;
    if (message instanceof UpnpFault) {
      ok(message.number >= 400 && message.message.length <= 300);
      return true;
    }
    deepStrictEqual(soap.decodeResponse(octets(soap.encodeResponse(message, message.args))), withoutReturns(message));
    return true;
  };
  /** @param {Buffer} bytes */
  const documents = (bytes) => {
    const description = read(() => decodeDescription(bytes));
    if (description !== undefined) read(() => decodeDescription(octets(encodeDescription(description.device, 1))));
    const actions = read(() => decodeScpd(bytes));
    const properties = read(() => gena.decodePropertySet(bytes));
    const listing = read(() => decodePortListing(bytes));
    if (listing !== undefined) {
      const trimmed = decodePortListing(octets(encodePortListing(listing)));
      deepStrictEqual(decodePortListing(octets(encodePortListing(trimmed))), trimmed);
    }
    return [description, actions, properties, listing].some((each) => each !== undefined);
  };
  /** A method, a path, and headers, one a line, as Node's HTTP parser would give them. @param {Buffer} bytes */
  const head = (bytes) => {
    const [start = "", ...lines] = bytes.toString("latin1").split("\n");
    const space = start.indexOf(" ");
    const [method, url] = [start.slice(0, space), start.slice(space + 1)];
    const headers = Object.fromEntries(lines.map((line) => line.split(": ", 2)));
    const way = route({ method, url, headers }, PLACE, new Map([["/rootDesc.xml", ""]]));
    ok(way.kind === "refused" || headers["origin"] === undefined, "a browser got in");
    const { soapaction } = headers;
    if (typeof soapaction === "string") soap.parseSoapAction(soapaction);
    if (way.kind !== "events") return way.kind !== "refused";
    const { sid, nt, callback, timeout } = headers;
    const asked = decoded(gena.GenaRefusal, () => gena.readSubscription(way.method, { sid, nt, callback, timeout }));
    if (asked?.kind === "subscribe") {
      for (const text of asked.callbacks) ok([undefined, CALLER].includes(callbackOf(text, CALLER)?.address), text);
    }
    return asked !== undefined;
  };
  return [
    { name: "ssdp", dictionary: SSDP, bytesMax: 2100, check: datagram },
    { name: "soap-call", dictionary: XML, bytesMax: 2048, check: call },
    { name: "soap-response", dictionary: XML, bytesMax: 2048, check: response },
    { name: "upnp-documents", dictionary: XML, bytesMax: 2048, check: documents },
    { name: "upnp-http-head", dictionary: HEAD, bytesMax: 1024, check: head },
  ];
}

/** What XML makes of line ends (XML 1.0 §2.11), where one was written as a number. @param {import("../../../src/protocols/upnp/soap.ts").ActionCall} message */
function withoutReturns({ args, ...named }) {
  const plain = [...args].map(([name, value]) => /** @type {const} */ ([name, value.replace(/\r\n?/g, "\n")]));
  return { ...named, args: new Map(plain) };
}
