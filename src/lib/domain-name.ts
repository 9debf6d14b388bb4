/**
 * Domain names as octets, not text (RFC 1035 §3.1): a label may hold a dot, a zero or what is no UTF-8. A name is kept in
 * its wire form, uncompressed, as a string of one character an octet: immutable, one map look-up, a suffix is a slice.
 */

/** RFC 1035 §2.3.4, with the root's octet. */
export const NAME_OCTETS_MAX = 255;
const LABEL_OCTETS_MAX = 63;

/** The wire form with A–Z in lower case: what names are compared by (RFC 4343), the canonical form of RFC 4034 §6.2. */
export type NameKey = string & { readonly nameKey: true };

export interface DomainName {
  /** As it was written or came in: case is kept (RFC 4343 §4.1). */
  readonly wire: string;
  readonly key: NameKey;
}

export const ROOT: DomainName = { wire: "\0", key: "\0" as NameKey };

/** `wire` is a whole name in wire form. */
export function nameOf(wire: string): DomainName {
  return { wire, key: lowerCase(wire) };
}

/** A length octet is at most 63, so none of them is taken for a letter. */
function lowerCase(wire: string): NameKey {
  return (/[A-Z]/.test(wire) ? wire.replaceAll(/[A-Z]+/g, (run) => run.toLowerCase()) : wire) as NameKey;
}

const ESCAPE = /^\\(?:(\d{3})|([ -/:-~]))/;

/**
 * Presentation form (RFC 1035 §5.1): `\.` and `\DDD` are escapes, the last dot may be left out, "." is the root. Null if
 * it is no name. What is beyond ASCII is null too: it has to be written in its xn-- form.
 */
export function parseName(text: string): DomainName | null {
  if (text === ".") return ROOT;
  let wire = "";
  let label = "";
  let open = true;
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (character === ".") {
      if (label === "" || label.length > LABEL_OCTETS_MAX) return null;
      wire += String.fromCharCode(label.length) + label;
      label = "";
      open = false;
      at += 1;
      continue;
    }
    const escape = character === "\\" ? ESCAPE.exec(text.slice(at, at + 4)) : null;
    const code = escape?.[1] === undefined ? (escape?.[2] ?? character).charCodeAt(0) : Number(escape[1]);
    if ((character === "\\" && escape === null) || code > (escape?.[1] === undefined ? 0x7e : 0xff)) return null;
    if (escape === null && code < 0x21) return null;
    label += String.fromCharCode(code);
    if (label.length > LABEL_OCTETS_MAX) return null;
    open = true;
    at += escape?.[0].length ?? 1;
  }
  if (open && label === "") return null;
  if (label !== "") wire += String.fromCharCode(label.length) + label;
  wire += "\0";
  return wire.length > NAME_OCTETS_MAX ? null : nameOf(wire);
}

/** Presentation form without the last dot; the root is ".". `parseName` gives the name back. */
export function formatName(name: DomainName | NameKey): string {
  const wire = typeof name === "string" ? name : name.wire;
  if (wire === "\0") return ".";
  return labelsOf(wire).map(formatLabel).join(".");
}

/** The text by which names are kept and compared in events, state and rows: lower case, no last dot. Null: it is no name. */
export function nameText(text: string): string | null {
  const name = parseName(text);
  return name === null ? null : formatName(name.key);
}

/** A dot behind a backslash is within the label, unless the backslash is itself escaped. */
const LABEL_AND_DOT = /^(?:[^.\\]|\\.)+\./;

/** Of such a text: the name and those above it, without the root. */
export function suffixesOf(name: string): string[] {
  const suffixes = [name];
  for (let rest = name; ; suffixes.push(rest)) {
    const end = endOfLabel(rest);
    if (end === 0) return suffixes;
    rest = rest.slice(end);
  }
}

/** Behind the first dot that ends a label; 0 where none does. */
function endOfLabel(name: string): number {
  if (name.includes("\\")) return LABEL_AND_DOT.exec(name)?.[0].length ?? 0;
  // "." is the root.
  const dot = name.indexOf(".", 1);
  return dot + 1;
}

/** Of such texts, by whole labels: `a\.example` is a label of its own, and nothing of `example`. */
export const isWithin = (name: string, zone: string): boolean =>
  name === zone || (name.endsWith(`.${zone}`) && (!name.includes("\\") || suffixesOf(name).includes(zone)));

/** What master files give a meaning is escaped (RFC 1035 §5.1, and RFC 4343 §2.1 for the form of it). */
function formatLabel(label: string): string {
  return label.replaceAll(/[^!-~]|["$().;@\\]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x21 || code > 0x7e ? `\\${String(code).padStart(3, "0")}` : `\\${character}`;
  });
}

/** The labels of a wire form, without the root's. */
export function labelsOf(wire: string): string[] {
  const labels: string[] = [];
  for (let at = 0; wire.charCodeAt(at) !== 0; ) {
    const end = at + 1 + wire.charCodeAt(at);
    labels.push(wire.slice(at + 1, end));
    at = end;
  }
  return labels;
}

/** The name one label up; null above the root. */
export function parentOf(key: NameKey): NameKey | null {
  const length = key.charCodeAt(0);
  return length === 0 ? null : (key.slice(1 + length) as NameKey);
}

/** Whether `key` is `ancestor` or a name below it. */
export function isAtOrBelow(key: NameKey, ancestor: NameKey): boolean {
  if (!key.endsWith(ancestor)) return false;
  // The same octets may begin in the middle of a label.
  const start = key.length - ancestor.length;
  let at = 0;
  while (at < start) at += 1 + key.charCodeAt(at);
  return at === start;
}

/** `label` is octets, one a character; null if the name would be too long, or the label is empty. */
export function below(label: string, parent: DomainName): DomainName | null {
  if (label === "" || label.length > LABEL_OCTETS_MAX) return null;
  const wire = String.fromCharCode(label.length) + label + parent.wire;
  return wire.length > NAME_OCTETS_MAX ? null : nameOf(wire);
}

/** `*.parent`, which may answer for what is below `parent` (RFC 4592 §2.1.1). Longer than a name may be, it is no name there is. */
export function wildcardOf(parent: NameKey): NameKey {
  return `\u0001*${parent}` as NameKey;
}

export function isWildcard(key: NameKey): boolean {
  return key.startsWith("\u0001*");
}
