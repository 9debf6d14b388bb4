import { decode, encode, type Answer, type Packet } from "dns-packet";

export interface QueryOptions {
  readonly id?: number;
  readonly edns?: number | null;
  readonly dnssecOk?: boolean;
  readonly flags?: number;
  readonly class?: "IN" | "CH" | "HS" | "ANY";
}

/** RD. */
export const RD = 0x0100;
export const CD = 0x0010;
export const AD = 0x0020;
export const AA = 0x0400;
export const RA = 0x0080;
export const TC = 0x0200;

export function query(name: string, type: string, options: QueryOptions = {}): Uint8Array {
  const { id = 4711, edns = 1232, dnssecOk = false, flags = RD } = options;
  const additionals =
    edns === null
      ? []
      : [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: edns,
            flags: dnssecOk ? 0x8000 : 0,
            options: [],
          } as unknown as Answer,
        ];
  const questions = [{ name, type, class: options.class ?? "IN" }] as unknown as Packet["questions"];
  return new Uint8Array(
    encode({ type: "query", id, flags, ...(questions === undefined ? {} : { questions }), additionals }),
  );
}

export interface AnswerOptions {
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
  readonly rcode?: number;
  /** Beside QR and RA. */
  readonly flags?: number;
  readonly recursion?: boolean;
}

/** An answer to exactly these octets: ID, spelling, question. */
export function answerTo(bytes: Uint8Array, options: AnswerOptions): Buffer {
  const { answers = [], authorities = [], additionals = [], rcode = 0, flags = 0, recursion = true } = options;
  const records = encode({
    type: "response",
    answers: [...answers],
    authorities: [...authorities],
    additionals: [...additionals],
  });
  const end = questionEnd(bytes);
  const message = Buffer.concat([bytes.subarray(0, end), records.subarray(12)]);
  message.writeUInt16BE(
    0x8000 | (bytes[2] === undefined ? 0 : (bytes[2] & 1) << 8) | (recursion ? RA : 0) | flags | rcode,
    2,
  );
  records.copy(message, 6, 6, 12);
  return message;
}

export function questionEnd(bytes: Uint8Array): number {
  let at = 12;
  while (bytes[at] !== 0 && at < bytes.length) at += 1 + (bytes[at] as number);
  return at + 5;
}

export const a = (name: string, data: string, ttl = 300): Answer => ({ type: "A", name, data, ttl });
export const aaaa = (name: string, data: string, ttl = 300): Answer => ({ type: "AAAA", name, data, ttl });
export const cname = (name: string, data: string, ttl = 300): Answer => ({ type: "CNAME", name, data, ttl });
export const soa = (name: string, ttl = 600, minimum = 60): Answer => ({
  type: "SOA",
  name,
  ttl,
  data: {
    mname: `ns.${name}`,
    rname: `hostmaster.${name}`,
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum,
  },
});

export interface Told {
  readonly id: number;
  readonly rcode: number;
  readonly flags: number;
  readonly question: string;
  /** "name ttl type data". */
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly edns: boolean;
  /** RFC 8914. */
  readonly errors: readonly { readonly code: number; readonly text: string }[];
}

/** What a client reads in a reply. */
export function told(bytes: Uint8Array): Told {
  const buffer = Buffer.from(bytes);
  const packet = decode(buffer);
  const flags = buffer.readUInt16BE(2);
  const opt = packet.additionals?.find(({ type }) => type === "OPT") as
    | { readonly options: readonly { readonly code: number; readonly data: Buffer }[] }
    | undefined;
  return {
    id: packet.id ?? -1,
    rcode: flags & 0xf,
    flags,
    question: packet.questions?.[0]?.name ?? "",
    answers: (packet.answers ?? []).map(line),
    authorities: (packet.authorities ?? []).map(line),
    edns: opt !== undefined,
    errors: (opt?.options ?? [])
      .filter(({ code }) => code === 15)
      .map(({ data }) => ({ code: data.readUInt16BE(0), text: data.toString("latin1", 2) })),
  };
}

function line(answer: Answer): string {
  const { name, type, ttl, data } = answer as { name: string; type: string; ttl?: number; data?: unknown };
  return `${name} ${ttl} ${type} ${typeof data === "string" ? data : JSON.stringify(data)}`;
}
