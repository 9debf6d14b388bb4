import { type DomainName, formatName, parseName } from "../../../lib/domain-name.ts";

/** A value that is no RDATA of its type; the message says what one looks like. */
export class RdataTextError extends Error {
  override readonly name = "RdataTextError";
}

/** What stands between white space, with its quotes: `10 mail.example` are two, `alpn="h2,h3" "a b"` too. */
const FIELD = /(?:"(?:[^"\\]|\\[^])*"|\\[^]|[^\s"\\])+/gy;
const SPACE = /\s*/y;

/** The fields of a value (RFC 1035 §5.1). */
export function fieldsOf(text: string): string[] {
  const fields: string[] = [];
  let at = after(SPACE, text, 0) ?? 0;
  while (at < text.length) {
    const end = after(FIELD, text, at);
    if (end === null) throw new RdataTextError("a quote is not closed, or a backslash has nothing after it");
    fields.push(text.slice(at, end));
    at = after(SPACE, text, end) ?? end;
  }
  return fields;
}

function after(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}

const ESCAPED = /\\(?:(\d{3})|([^]))|([^\\])/gu;

/** The octets that a field stands for, without its quotes; what is beyond ASCII is UTF-8. */
export function octetsOf(field: string): Uint8Array {
  const quoted = field.length > 1 && field.startsWith('"') && field.endsWith('"');
  const octets: number[] = [];
  for (const [, decimal, escaped, plain = ""] of (quoted ? field.slice(1, -1) : field).matchAll(ESCAPED)) {
    if (decimal !== undefined) {
      if (Number(decimal) > 255) throw new RdataTextError(`\\${decimal} is no octet`);
      octets.push(Number(decimal));
    } else octets.push(...new TextEncoder().encode(escaped ?? plain));
  }
  return Uint8Array.from(octets);
}

/** In quotes, whatever the octets. */
export function stringText(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    if (octet < 0x20 || octet > 0x7e) text += `\\${String(octet).padStart(3, "0")}`;
    else text += `${octet === 0x22 || octet === 0x5c ? "\\" : ""}${String.fromCharCode(octet)}`;
  }
  return `"${text}"`;
}

const NUMBER = /^(?:0|[1-9]\d{0,9})$/;

/** Whole, from 0 to `max`; null if it is none. */
export function numberOf(field: string, max: number): number | null {
  const value = NUMBER.test(field) ? Number(field) : max + 1;
  return value <= max ? value : null;
}

/** What reads the fields of one value, one after the other; whatever is wrong is told as `form`. */
export class FieldReader {
  readonly #fields: readonly string[];
  readonly #form: string;
  #at = 0;

  /** `form` completes "… is written as". */
  constructor(text: string, form: string) {
    this.#fields = fieldsOf(text);
    this.#form = form;
  }

  wrong(): never {
    throw new RdataTextError(`the value is written as ${this.#form}`);
  }

  get more(): boolean {
    return this.#at < this.#fields.length;
  }

  field(): string {
    const field = this.#fields[this.#at] ?? this.wrong();
    this.#at += 1;
    return field;
  }

  name(): DomainName {
    return parseName(this.field()) ?? this.wrong();
  }

  number(max: number): number {
    return numberOf(this.field(), max) ?? this.wrong();
  }

  end(): void {
    if (this.more) this.wrong();
  }
}

/** Names in values are whole, so their last dot is left out, as everywhere. */
export const nameField = (name: DomainName): string => formatName(name);
