import type { RecordData, SoaData, SrvData } from "../message.ts";
import type { RdataCodec } from "./codec.ts";
import { nameField } from "./text.ts";

type TargetData = Extract<RecordData, { kind: "NS" | "CNAME" | "PTR" }>;
type ExchangeData = Extract<RecordData, { kind: "MX" }>;

const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;

/** RFC 1035 §3.3.1, §3.3.11, §3.3.12: a name and nothing else. */
export function targetCodec(kind: TargetData["kind"]): RdataCodec<TargetData> {
  return {
    form: "a name, as in host.example.com",
    read: (reader) => ({ kind, target: reader.name() }),
    write: (writer, { target }) => writer.name(target),
    text: ({ target }) => nameField(target),
    parse: (fields) => ({ kind, target: fields.name() }),
  };
}

/** RFC 1035 §3.3.9. */
export const MX: RdataCodec<ExchangeData> = {
  form: "a preference and a name, as in 10 mail.example.com",
  read: (reader) => ({ kind: "MX", preference: reader.u16(), exchange: reader.name() }),
  write(writer, { preference, exchange }) {
    writer.u16(preference);
    writer.name(exchange);
  },
  text: ({ preference, exchange }) => `${preference} ${nameField(exchange)}`,
  parse: (fields) => ({ kind: "MX", preference: fields.number(U16_MAX), exchange: fields.name() }),
};

/** RFC 1035 §3.3.13. */
export const SOA: RdataCodec<SoaData> = {
  form: "two names and five numbers, as in ns.example.com admin.example.com 1 3600 600 86400 5",
  read(reader) {
    const [primary, mailbox] = [reader.name(), reader.name()];
    const [serial, refresh, retry] = [reader.u32(), reader.u32(), reader.u32()];
    return { kind: "SOA", primary, mailbox, serial, refresh, retry, expire: reader.u32(), minimum: reader.u32() };
  },
  write(writer, data) {
    writer.name(data.primary);
    writer.name(data.mailbox);
    for (const value of numbersOf(data)) writer.u32(value);
  },
  text: (data) => [nameField(data.primary), nameField(data.mailbox), ...numbersOf(data)].join(" "),
  parse(fields) {
    const [primary, mailbox] = [fields.name(), fields.name()];
    const number = (): number => fields.number(U32_MAX);
    const [serial, refresh, retry] = [number(), number(), number()];
    return { kind: "SOA", primary, mailbox, serial, refresh, retry, expire: number(), minimum: number() };
  },
};

function numbersOf({ serial, refresh, retry, expire, minimum }: SoaData): number[] {
  return [serial, refresh, retry, expire, minimum];
}

/** RFC 2782. Its target was compressed by some (RFC 3597 §4), and must not be by us. */
export const SRV: RdataCodec<SrvData> = {
  form: "priority, weight, port and name, as in 0 5 443 host.example.com",
  read(reader) {
    const [priority, weight, port] = [reader.u16(), reader.u16(), reader.u16()];
    return { kind: "SRV", priority, weight, port, target: reader.name() };
  },
  write(writer, { priority, weight, port, target }) {
    for (const value of [priority, weight, port]) writer.u16(value);
    writer.wholeName(target.wire);
  },
  text: ({ priority, weight, port, target }) => `${priority} ${weight} ${port} ${nameField(target)}`,
  parse(fields) {
    const [priority, weight, port] = [fields.number(U16_MAX), fields.number(U16_MAX), fields.number(U16_MAX)];
    return { kind: "SRV", priority, weight, port, target: fields.name() };
  },
};
