import { expect, it } from "vitest";
import { Arguments } from "../../../../src/protocols/upnp/arguments.ts";
import { UpnpDecodeError, UpnpFault } from "../../../../src/protocols/upnp/error.ts";
import { action } from "../../../../src/protocols/upnp/definition.ts";
import {
  decodeCall,
  decodeResponse,
  encodeCall,
  encodeFault,
  encodeResponse,
  parseSoapAction,
  soapActionText,
} from "../../../../src/protocols/upnp/soap.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const service = { kind: "service", name: "WANIPConnection", version: 1 } as const;
const ADD = { service, action: "AddPortMapping" };

it("SOAP-01 reads the header with and without quotes, and the action case-sensitively", () => {
  const text = "urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping";
  for (const header of [`"${text}"`, text, ` "${text}" `]) expect(parseSoapAction(header)).toEqual(ADD);
  expect(parseSoapAction(soapActionText(ADD))).toEqual(ADD);
  for (const broken of [
    "",
    '"',
    '""',
    `"${text}`,
    `${text}"`,
    "#AddPortMapping",
    "urn:x#y",
    `${text}#`,
    `"${text}\u0000"`,
  ])
    expect(parseSoapAction(broken), broken).toBeNull();
});

it("SOAP-05 reads arguments in any order, and gives what it wrote", () => {
  const args = [
    ["NewExternalPort", "80"],
    ["NewRemoteHost", ""],
    ["NewPortMappingDescription", "<a> & b"],
  ] as const;
  expect(decodeCall(bytes(encodeCall(ADD, args)))).toEqual({ ...ADD, args: new Map(args) });
});

it("SOAP-03 answers in the namespace of the request", () => {
  const text = encodeResponse(ADD, [["NewReservedPort", 80]]);
  expect(text).toContain('<u:AddPortMappingResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">');
  expect(decodeResponse(bytes(text))).toEqual({ ...ADD, args: new Map([["NewReservedPort", "80"]]) });
});

it("SOAP-04 a fault names its number and is never without a description", () => {
  const text = encodeFault(new UpnpFault(718, ""));
  expect(text).toContain("<faultstring>UPnPError</faultstring>");
  expect(text).toContain("<errorCode>718</errorCode><errorDescription>ConflictInMappingEntry</errorDescription>");
  expect(decodeResponse(bytes(text))).toMatchObject({ number: 718 });
  const unknown = bytes(encodeFault(new UpnpFault(718, "no")).replace("718", "899"));
  expect(decodeResponse(unknown)).toMatchObject({ number: 501, message: "899 no" });
});

const envelope = (body: string): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${body}</s:Body></s:Envelope>`;
const call = (inside: string): string => envelope(`<u:A xmlns:u="urn:schemas-upnp-org:service:S:1">${inside}</u:A>`);
const BROKEN: Record<string, string> = {
  "another root": "<a/>",
  "SOAP 1.2": envelope("").replace(
    "http://schemas.xmlsoap.org/soap/envelope/",
    "http://www.w3.org/2003/05/soap-envelope",
  ),
  "an empty body": envelope(""),
  "two actions": envelope('<A xmlns="urn:schemas-upnp-org:service:S:1"/><A xmlns="urn:schemas-upnp-org:service:S:1"/>'),
  "no namespace of a service": envelope("<A/>"),
  "a namespace of a device": envelope('<A xmlns="urn:schemas-upnp-org:device:S:1"/>'),
  "an argument twice": call("<B>1</B><B>2</B>"),
  "an argument of elements": call("<B><C/></B>"),
};
it.each(Object.entries(BROKEN))("SOAP-08 refuses %s", (_, text) => {
  expect(() => decodeCall(bytes(text))).toThrow(UpnpDecodeError);
});

it("SOAP-08 a call of 16 KiB is read, one octet more is not", () => {
  const padded = (size: number): Uint8Array => bytes(call("").padEnd(size, " "));
  expect(decodeCall(padded(16 * 1024)).action).toBe("A");
  expect(() => decodeCall(padded(16 * 1024 + 1))).toThrow("more than 16384 octets");
});

const definition = action("A", ["Port:P", "On:O", "Lease:L"], []);
const args = (values: Record<string, string>) =>
  new Arguments(definition, new Map(Object.entries({ Port: "1", On: "1", Lease: "0", ...values })));
const number = (ask: () => unknown): number => {
  try {
    ask();
  } catch (cause) {
    if (cause instanceof UpnpFault) return cause.number;
    throw cause;
  }
  return 0;
};

it.each([
  ["65535", 0],
  ["65536", 601],
  ["99999999999999999999", 601],
  ["-1", 402],
  ["1.5", 402],
  ["0x10", 402],
  ["", 402],
  [" 80 ", 0],
])("SOAP-08 a port of %j never wraps: %i", (text, expected) => {
  expect(number(() => args({ Port: text }).ui2("Port"))).toBe(expected);
});

it("SOAP-08 reads six ways to write a boolean, and no other", () => {
  expect(["1", "true", "YES"].map((text) => args({ On: text }).boolean("On"))).toEqual([true, true, true]);
  expect(["0", "false", "no"].map((text) => args({ On: text }).boolean("On"))).toEqual([false, false, false]);
  expect(number(() => args({ On: "2" }).boolean("On"))).toBe(402);
});

it("402 for a missing and for a surplus argument", () => {
  expect(number(() => new Arguments(definition, new Map([["Port", "1"]])))).toBe(402);
  expect(number(() => args({ Surplus: "" }))).toBe(402);
  expect(args({ Lease: "4294967295" }).ui4("Lease")).toBe(0xffffffff);
});
