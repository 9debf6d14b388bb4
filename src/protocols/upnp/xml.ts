import { SaxesParser, type SaxesTagNS } from "saxes";
import { UpnpDecodeError } from "./error.ts";

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** The URI; empty without one. */
  readonly namespace: string;
  readonly children: readonly XmlElement[];
  /** What is directly in it, as it stands. */
  readonly text: string;
}

export interface XmlLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly elements: number;
}

/** Of one element, namespaces included; more has no use in any document of UPnP. */
const ATTRIBUTES_MAX = 16;
/** A declaration (DTD, entity) opens like this; comments and CDATA do too, and are no declarations. */
const DECLARATION = /<!(?!--|\[CDATA\[)/;

interface OpenElement {
  readonly name: string;
  readonly namespace: string;
  readonly children: OpenElement[];
  text: string;
}

/**
 * The root of a document. No DTD and so no entity but the five of XML and numbers, which is what keeps a small document
 * from becoming a large one; no processing instruction; size, depth and number of elements are bounded.
 */
export function readXml(document: Uint8Array, limits: XmlLimits): XmlElement {
  if (document.length > limits.bytes) throw new UpnpDecodeError(`more than ${limits.bytes} octets`);
  const text = utf8(document);
  if (DECLARATION.test(text)) throw new UpnpDecodeError("a DTD or entity declaration");
  const open: OpenElement[] = [];
  let root: OpenElement | undefined;
  let [elements, attributes] = [0, 0];
  const parser = new SaxesParser({ xmlns: true, position: false });
  parser.on("error", (cause) => {
    throw new UpnpDecodeError(`not well-formed XML: ${cause.message}`);
  });
  parser.on("processinginstruction", () => {
    throw new UpnpDecodeError("a processing instruction");
  });
  parser.on("attribute", () => {
    attributes += 1;
    if (attributes > ATTRIBUTES_MAX) throw new UpnpDecodeError(`more than ${ATTRIBUTES_MAX} attributes`);
  });
  parser.on("opentag", ({ local, uri }: SaxesTagNS) => {
    attributes = 0;
    elements += 1;
    if (elements > limits.elements) throw new UpnpDecodeError(`more than ${limits.elements} elements`);
    if (open.length >= limits.depth) throw new UpnpDecodeError(`deeper than ${limits.depth} elements`);
    const element: OpenElement = { name: local, namespace: uri, children: [], text: "" };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on("closetag", () => void open.pop());
  const append = (piece: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += piece;
  };
  parser.on("text", append);
  parser.on("cdata", append);
  parser.write(text).close();
  if (root === undefined) throw new UpnpDecodeError("no element");
  return root;
}

function utf8(document: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(document);
  } catch {
    throw new UpnpDecodeError("not UTF-8");
  }
}

export function childOf(parent: XmlElement, name: string, namespace?: string): XmlElement | undefined {
  return parent.children.find(
    (child) => child.name === name && (namespace === undefined || child.namespace === namespace),
  );
}

/** The text of a child, without the white space around it; null without that child. */
export const textOf = (parent: XmlElement, name: string): string | null => childOf(parent, name)?.text.trim() ?? null;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};
/** XML 1.0 §2.2: what has no place in a document, escaped or not; lone surrogates too. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

export function escapeXml(text: string): string {
  return text.replace(NOT_XML, "\ufffd").replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

/** `<name>text</name>`. */
export const xmlElement = (name: string, text: string | number): string =>
  `<${name}>${escapeXml(String(text))}</${name}>`;

export const XML_DECLARATION = '<?xml version="1.0"?>\n';
