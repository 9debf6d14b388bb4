import { expect, it } from "vitest";
import { UpnpDecodeError } from "../../../../src/protocols/upnp/error.ts";
import {
  decodeSsdp,
  encodeAlive,
  encodeByebye,
  encodeSearch,
  encodeSearchResponse,
  encodeUpdate,
} from "../../../../src/protocols/upnp/ssdp.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
const target = { type: IGD, usn: `uuid:x::${IGD}` };
const device = {
  location: "http://192.168.77.1:49001/rootDesc.xml",
  server: "Linux UPnP/1.1 P/1",
  maxAge: 1800,
  bootId: 7,
  configId: 9,
};

it("SSDP-06 reads the searches of real control points, with and without quotes, MX and order", () => {
  const miniupnpc = `M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nST: ${IGD}\r\nMAN: "ssdp:discover"\r\nMX: 2\r\n\r\n`;
  expect(decodeSsdp(bytes(miniupnpc))).toEqual({ kind: "search", target: IGD, maxWait: 2 });
  const loose = `M-SEARCH * HTTP/1.1\nhost:239.255.255.250:1900\nman:ssdp:discover\nst:ssdp:all\n`;
  expect(decodeSsdp(bytes(loose))).toEqual({ kind: "search", target: "ssdp:all", maxWait: null });
  expect(decodeSsdp(bytes(encodeSearch(IGD, 2)))).toEqual({ kind: "search", target: IGD, maxWait: 2 });
});

it("reads blanks around a value, and as fast as anything else", () => {
  const spread = encodeSearch(IGD, 2).replace("ST: ", "ST \t:\t  ").replace(`${IGD}\r\n`, `${IGD} \t\r\n`);
  expect(decodeSsdp(bytes(spread))).toMatchObject({ target: IGD });
  const filled = (blank: string): Uint8Array =>
    bytes(encodeSearch(IGD, 2).replace("MX: 2", `X: ${`${blank.repeat(15)}x`.repeat(118)}`));
  const long = (blank: string): Uint8Array =>
    bytes(encodeSearch(IGD, 2).replace("MX: 2", `X: x${blank.repeat(1880)}x`));
  const fastest = (message: Uint8Array): number => {
    const times = Array.from({ length: 50 }, () => {
      const start = performance.now();
      decodeSsdp(message);
      return performance.now() - start;
    });
    return Math.min(...times);
  };
  const usual = fastest(filled("a"));
  expect(fastest(long(" "))).toBeLessThan(usual * 10);
});

const search = encodeSearch(IGD, 2);
const BROKEN: Record<string, string> = {
  "another method": search.replace("M-SEARCH", "GET"),
  "another version": search.replace("1.1", "1.0"),
  "no MAN": search.replace(/MAN.*\r\n/, ""),
  "another MAN": search.replace("discover", "all"),
  "no ST": search.replace(/ST: urn.*\r\n/, ""),
  "an MX that is no number": search.replace("MX: 2", "MX: two"),
  "a header twice": search.replace("MX: 2", "MX: 2\r\nmx: 3"),
  "a line that is no header": search.replace("MX: 2", "MX 2"),
  "too many headers": search.replace("MX: 2", Array.from({ length: 40 }, (_, i) => `X${i}: 1`).join("\r\n")),
  "more than a datagram": search.replace("MX: 2", `X: ${"x".repeat(2048)}`),
  nothing: "",
};
it.each(Object.entries(BROKEN))("SSDP-06 refuses %s", (_, text) => {
  expect(() => decodeSsdp(bytes(text))).toThrow(UpnpDecodeError);
});

it("SSDP-09 an answer has what its reader needs, and a client reads it", () => {
  const text = encodeSearchResponse(target, device);
  expect(text.split("\r\n")).toEqual([
    "HTTP/1.1 200 OK",
    "CACHE-CONTROL: max-age=1800",
    "EXT: ",
    `LOCATION: ${device.location}`,
    "SERVER: Linux UPnP/1.1 P/1",
    `ST: ${IGD}`,
    `USN: uuid:x::${IGD}`,
    "BOOTID.UPNP.ORG: 7",
    "CONFIGID.UPNP.ORG: 9",
    "",
    "",
  ]);
  expect(decodeSsdp(bytes(text))).toEqual({
    kind: "response",
    target: IGD,
    usn: target.usn,
    location: device.location,
  });
});

it("SSDP-03 alive, update and byebye name what they are about", () => {
  const about = { about: IGD, usn: target.usn };
  expect(decodeSsdp(bytes(encodeAlive(target, device)))).toEqual({
    kind: "notify",
    type: "ssdp:alive",
    location: device.location,
    ...about,
  });
  expect(decodeSsdp(bytes(encodeByebye(target, device)))).toEqual({
    kind: "notify",
    type: "ssdp:byebye",
    location: null,
    ...about,
  });
  const update = encodeUpdate(target, device, 8);
  expect(update).toContain("BOOTID.UPNP.ORG: 7\r\n");
  expect(update).toContain("NEXTBOOTID.UPNP.ORG: 8\r\n");
  expect(decodeSsdp(bytes(update))).toMatchObject({ kind: "notify", type: "ssdp:update" });
});
