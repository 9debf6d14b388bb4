import { expect, test } from "vitest";
import { startMiniupnpd } from "../../bench/miniupnpd.mjs";
import { decodeDescription, type DeviceDescription } from "../../src/protocols/upnp/description.ts";
import { decodePortListing } from "../../src/protocols/upnp/port-listing.ts";
import { decodeResponse, encodeCall, soapActionText } from "../../src/protocols/upnp/soap.ts";
import { UpnpFault } from "../../src/protocols/upnp/error.ts";
import { parseUpnpType } from "../../src/protocols/upnp/upnp-type.ts";
import { ControlPoint, type HttpSaid } from "./control-point.ts";
import { scenario } from "./lab.ts";
import { createTopology, type Host } from "./topology.mjs";
import { type Exchange, EXCHANGES, type Places } from "./upnp-differential-exchanges.ts";
import { DIFFERENCES } from "./upnp-differential-list.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("each exchange has a name of its own", () => {
  expect(new Set(EXCHANGES.map(({ id }) => id)).size).toBe(EXCHANGES.length);
  expect(EXCHANGES.length).toBeGreaterThan(90);
});

const UNLIMITED = { requestsPerSecond: 10_000, eventsPerMinute: 10_000, eventBurst: 10_000 };

scenario(
  "[P9] answers a script as miniupnpd does, but for the differences that are listed with their reason",
  { needs: ["miniupnpd"], config: { portControl: { perDevice: UNLIMITED } }, timeoutMs: 120_000 },
  async ({ topology }) => {
    const peerTopology = await createTopology();
    try {
      const peer = await startMiniupnpd(peerTopology, "192.168.77.0/24", { upnp: true });
      const [ours, theirs] = await Promise.all([
        askAll(topology.clients[0], topology.lanGateway, 49001, "/rootDesc2.xml"),
        askAll(peerTopology.clients[0], peerTopology.lanGateway, 5000, "/rootDesc.xml"),
      ]);
      peer.close();
      const found = EXCHANGES.flatMap(({ id }, index) => {
        const [we, they] = [ours[index] ?? "", theirs[index] ?? ""];
        return we === they ? [] : [`${id}: ours ${we}, theirs ${they}`];
      });
      const listed = DIFFERENCES.flatMap(({ on, ours: we, theirs: they }) =>
        on.split(/\s+/).map((id) => `${id}: ours ${we}, theirs ${they}`),
      );
      expect(
        found.filter((each) => !listed.includes(each)),
        "differences that the list does not explain",
      ).toEqual([]);
      expect(
        listed.filter((each) => !found.includes(each)),
        "listed differences that are none any more",
      ).toEqual([]);
    } finally {
      await peerTopology.close();
    }
  },
);

/** What each exchange came to, in a line: no address or port of the server's, no time, no counter. */
async function askAll(host: Host | undefined, server: string, port: number, description: string): Promise<string[]> {
  if (host === undefined) throw new Error("the topology has no client");
  const point = new ControlPoint(host, { host: server, port });
  try {
    const { body } = await point.http({ method: "GET", path: description });
    const places = placesOf(decodeDescription(bytes(body)).device, host.address);
    // Searches wait for their answers, each on a socket of its own.
    const searched = Promise.all(EXCHANGES.filter(isSearch).map((exchange) => ask(point, exchange, places)));
    const said: string[] = [];
    for (const exchange of EXCHANGES) said.push(isSearch(exchange) ? "" : await ask(point, exchange, places));
    const found = await searched;
    return EXCHANGES.map((exchange, index) => (isSearch(exchange) ? found.shift() : said[index]) ?? "");
  } finally {
    await point.close();
  }
}

const isSearch = ({ kind }: Exchange): boolean => kind === "search";

function placesOf(root: DeviceDescription, client: string): Places {
  const all = (device: DeviceDescription): DeviceDescription[] => [device, ...device.devices.flatMap(all)];
  const services = all(root).flatMap((device) => device.services);
  const by = (url: (each: (typeof services)[number]) => string) =>
    Object.fromEntries(services.map((each) => [parseUpnpType(each.serviceType)?.name ?? "", url(each)]));
  return { client, control: by((each) => each.controlUrl), events: by((each) => each.eventSubUrl) };
}

async function ask(point: ControlPoint, exchange: Exchange, places: Places): Promise<string> {
  switch (exchange.kind) {
    case "search": {
      const answers = await point.search({ message: exchange.message, waitMs: 1500 });
      const targets = answers.map(
        ({ text }) =>
          /^ST: *(.*)$/im
            .exec(text)?.[1]
            ?.trim()
            .replace(/^uuid:.*/, "uuid") ?? "?",
      );
      return (
        [...new Set(targets)]
          .map((target) => target.replace(/urn:schemas-upnp-org:(?:device|service):/, ""))
          .sort()
          .join(" ") || "nothing"
      );
    }
    case "subscribe": {
      const { status, headers } = await point.subscribe(exchange.headers(places), places.events["WANIPConnection"]);
      return status === 200 ? `200 ${headers["timeout"]}` : String(status);
    }
    case "post":
      return read(
        await point.http({
          method: "POST",
          path: places.control["WANIPConnection"] ?? "",
          headers: exchange.headers,
          body: exchange.body,
        }),
      );
    case "action": {
      const { service: name, version, action, args } = exchange;
      const called = { service: { kind: "service", name, version } as const, action };
      const headers = { "Content-Type": 'text/xml; charset="utf-8"', SOAPAction: soapActionText(called) };
      const path = places.control[name] ?? "";
      return read(
        await point.http({ method: "POST", path, headers, body: encodeCall(called, Object.entries(args(places))) }),
      );
    }
  }
}

/** What is left of a lease, how long somebody is up, what was counted. */
const MOVING = /^New(?:LeaseDuration|Uptime|Total\w+|Layer1\w+|DefaultConnectionService)$/;

function read({ status, body }: HttpSaid): string {
  if (status !== 200 && status !== 500) return `HTTP ${status}`;
  const said = decodeResponse(bytes(body));
  if (said instanceof UpnpFault)
    return String(said.number === 501 ? (/^\d{3}/.exec(said.message)?.[0] ?? 501) : said.number);
  const values = [...said.args].map(([name, value]) => {
    if (name === "NewPortListing")
      return `${name}=${decodePortListing(bytes(value))
        .map(({ externalPort, protocol }) => `${protocol}${externalPort}`)
        .join("+")}`;
    if (name === "NewLeaseDuration")
      return `${name}=${Number(value) > 100_000 ? "a week" : Number(value) > 7200 ? "a day" : Number(value) > 0 ? "some" : "0"}`;
    return `${name}=${MOVING.test(name) ? "*" : value}`;
  });
  return ["200", ...values].join(" ");
}
