// Many UPnP control points at once, each with an address of its own: AddPortMapping in a closed loop with so many in
// flight, each on a connection of its own, as they all do. Reads one JSON line, prints one JSON line.
import { request } from "node:http";
import { text } from "node:stream/consumers";

/**
 * @typedef {object} Load
 * @property {string} server
 * @property {number} port
 * @property {string} path of the control URL
 * @property {string[]} addresses
 * @property {number} count
 * @property {number} inFlight
 * @property {number} firstExternalPort
 * @property {number} firstInternalPort
 * @property {boolean} release all of them at the end
 */

/** @type {Load} */
const load = JSON.parse(await text(process.stdin));
const { addresses, server, port, path, count, inFlight } = load;
const SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1";

/** @param {(number: number) => Promise<number>} ask */
async function all(ask) {
  /** @type {number[]} */
  const took = [];
  /** @type {Record<string, number>} */
  const refusals = {};
  let next = 0;
  const began = performance.now();
  const work = async () => {
    for (let number = next++; number < count; number = next++) {
      const before = performance.now();
      const status = await ask(number);
      if (status === 200) took.push(performance.now() - before);
      else refusals[status] = (refusals[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  const seconds = (performance.now() - began) / 1000;
  took.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => took[Math.floor((took.length - 1) * share)] ?? Number.NaN;
  return { perSecond: took.length / seconds, p50: at(0.5), p99: at(0.99), refusals };
}

/** @param {number} number */
const hostOf = (number) => addresses[number % addresses.length] ?? "";
/** @param {number} number */
const keyOf = (number) => ({
  NewRemoteHost: "",
  NewExternalPort: load.firstExternalPort + number,
  NewProtocol: "TCP",
});

/** @param {number} number */
const remove = (number) => call(hostOf(number), "DeletePortMapping", keyOf(number));

/** @param {number} number */
const add = (number) =>
  call(hostOf(number), "AddPortMapping", {
    ...keyOf(number),
    NewInternalPort: load.firstInternalPort + Math.floor(number / addresses.length),
    NewInternalClient: hostOf(number),
    NewEnabled: 1,
    NewPortMappingDescription: "bench",
    NewLeaseDuration: 7200,
  });

/** @param {string} address @param {string} action @param {Record<string, string | number>} args @returns {Promise<number>} */
function call(address, action, args) {
  const inside = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`);
  const body = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${SERVICE}">${inside.join("")}</u:${action}></s:Body></s:Envelope>`;
  const headers = {
    "Content-Type": "text/xml",
    SOAPAction: `"${SERVICE}#${action}"`,
    "Content-Length": Buffer.byteLength(body),
    Connection: "close",
  };
  return new Promise((resolve) => {
    const sent = request(
      { host: server, port, path, method: "POST", headers, localAddress: address, agent: false },
      (said) => {
        said.resume().on("end", () => resolve(said.statusCode ?? 0));
      },
    );
    sent.on("error", () => resolve(0));
    sent.end(body);
  });
}

const adding = await all(add);
if (load.release) await all(remove);
process.stdout.write(JSON.stringify(adding));
