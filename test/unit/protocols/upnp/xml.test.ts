import { expect, it } from "vitest";
import { UpnpDecodeError } from "../../../../src/protocols/upnp/error.ts";
import { childOf, escapeXml, readXml, textOf, xmlElement } from "../../../../src/protocols/upnp/xml.ts";

const LIMITS = { bytes: 4096, depth: 4, elements: 8 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string) => readXml(bytes(text), LIMITS);

it("reads elements with their namespaces, text and CDATA", () => {
  const root = read(
    '<?xml version="1.0"?><a xmlns="urn:a" xmlns:b="urn:b"> <b:c>1 &amp; 2</b:c><!-- note --><c><![CDATA[<3>]]></c></a>',
  );
  expect(root).toMatchObject({ name: "a", namespace: "urn:a" });
  expect(childOf(root, "c", "urn:b")?.text).toBe("1 & 2");
  expect(childOf(root, "c", "urn:a")?.text).toBe("<3>");
  expect(textOf(root, "missing")).toBeNull();
});

const BOMB = `<!DOCTYPE l [<!ENTITY a "ha">${Array.from({ length: 9 }, (_, i) => `<!ENTITY ${"b".repeat(i + 1)} "&a;&a;">`).join("")}]><l>&bbbbbbbbb;</l>`;
const HOSTILE: Record<string, string> = {
  "a bomb of entities": BOMB,
  "an external entity": '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
  "an entity that nobody declared": "<a>&xxe;</a>",
  "a DTD after white space": "  <!DOCTYPE a><a/>",
  "a processing instruction": '<?xml-stylesheet href="http://evil/"?><a/>',
  "too deep": "<a><a><a><a><a/></a></a></a></a>",
  "too many elements": `<a>${"<b/>".repeat(8)}</a>`,
  "too many attributes": `<a ${Array.from({ length: 17 }, (_, i) => `b${i}=""`).join(" ")}/>`,
  "too large": `<a>${"x".repeat(4096)}</a>`,
  "an undeclared prefix": "<a:b/>",
  "two roots": "<a/><b/>",
  "no root": "",
  "an open end": "<a><b>",
  "a control character": "<a>\u0001</a>",
  "a control character by number": "<a>&#0;</a>",
};

it.each(Object.entries(HOSTILE))("SOAP-08 SEC-06 refuses %s", (_, text) => {
  expect(() => read(text)).toThrow(UpnpDecodeError);
});

it("SOAP-08 refuses what is no UTF-8", () => {
  expect(() => readXml(Uint8Array.of(0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e), LIMITS)).toThrow("not UTF-8");
});

it("SEC-12 writes no text that could be read as anything else", () => {
  const texts = ["<script>\"&'</script>", "]]>", "&amp;", "\u{1f600}", "tab\tand\nline"];
  for (const text of texts) expect(read(xmlElement("a", text)).text).toBe(text);
  expect(escapeXml("\u0000 \ud800 \uffff")).toBe("\ufffd \ufffd \ufffd");
});
