import { type DomainName, ROOT } from "../../lib/domain-name.ts";
import { CLASS, HEADER_OCTETS, QUESTION_OCTETS_MIN, RECORD_OCTETS_MIN, TYPE, UDP_OCTETS_MIN } from "./constants.ts";
import { DnsDecodeError } from "./error.ts";
import type {
  DnsRecord,
  Edns,
  EdnsOption,
  Header,
  Message,
  OpenMessage,
  Question,
  RecordData,
  TsigRecord,
} from "./message.ts";
import { readRdata } from "./rdata/index.ts";
import { Reader } from "./reader.ts";

const EMPTY: RecordData = { kind: "empty" };

/** Strict: what is said about lengths is so, and nothing is left over. Throws nothing but `DnsDecodeError`. */
export function decodeMessage(bytes: Uint8Array): OpenMessage {
  return new Decoder(bytes).message();
}

/** RFC 1035 §4.1.1. Null if there is less than one. */
export function readHeader(bytes: Uint8Array): Header | null {
  if (bytes.length < HEADER_OCTETS) return null;
  const [high, low] = [bytes[2] as number, bytes[3] as number];
  return {
    id: ((bytes[0] as number) << 8) | (bytes[1] as number),
    response: (high & 0x80) !== 0,
    opcode: (high >>> 3) & 0x0f,
    authoritative: (high & 0x04) !== 0,
    truncated: (high & 0x02) !== 0,
    recursionDesired: (high & 0x01) !== 0,
    recursionAvailable: (low & 0x80) !== 0,
    authenticData: (low & 0x20) !== 0,
    checkingDisabled: (low & 0x10) !== 0,
    rcode: low & 0x0f,
  };
}

/** Apart from `decodeMessage`, for those who look at what it cost. */
export class Decoder {
  readonly reader: Reader;
  #edns: Edns | null = null;
  /** The upper eight bits, as the OPT record has them. */
  #rcode = 0;
  #tsig: TsigRecord | null = null;
  /** What is wrong with the first RDATA that is. Where the next record begins is known all the same. */
  #fault: DnsDecodeError | null = null;

  constructor(bytes: Uint8Array) {
    this.reader = new Reader(bytes);
  }

  message(): OpenMessage {
    const reader: Reader = this.reader;
    const header = readHeader(reader.bytes);
    if (header === null) reader.fault("less than a header");
    reader.header = header;
    reader.at = 4;
    const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()] as const;
    const least = counts[0] * QUESTION_OCTETS_MIN + (counts[1] + counts[2] + counts[3]) * RECORD_OCTETS_MIN;
    if (least > reader.end - HEADER_OCTETS) reader.fault("more records than there can be in so few octets");
    const questions = this.#times(counts[0], () => this.#question());
    const answers = this.#times(counts[1], () => this.#record());
    const authorities = this.#times(counts[2], () => this.#record());
    const additionals = this.#additionals(counts[3]);
    if (reader.at !== reader.end) reader.fault("octets after the last record");
    if (this.#fault !== null) throw new DnsDecodeError(header, this.#fault.message, this.#tsig);
    return { message: this.#whole(header, questions, answers, authorities, additionals), tsig: this.#tsig };
  }

  /** Field by field: spreading the header costs V8 more than decoding all the rest. */
  #whole(
    header: Header,
    questions: Question[],
    answers: DnsRecord[],
    authorities: DnsRecord[],
    additionals: DnsRecord[],
  ): Message {
    return {
      id: header.id,
      response: header.response,
      opcode: header.opcode,
      authoritative: header.authoritative,
      truncated: header.truncated,
      recursionDesired: header.recursionDesired,
      recursionAvailable: header.recursionAvailable,
      authenticData: header.authenticData,
      checkingDisabled: header.checkingDisabled,
      rcode: header.rcode | this.#rcode,
      questions,
      answers,
      authorities,
      additionals,
      edns: this.#edns,
    };
  }

  #times<T>(count: number, read: () => T): T[] {
    const all: T[] = [];
    for (let left = count; left > 0; left -= 1) all.push(read());
    return all;
  }

  #question(): Question {
    const { reader } = this;
    return { name: reader.name(), type: reader.u16(), class: reader.u16() };
  }

  #additionals(count: number): DnsRecord[] {
    const { reader } = this;
    const records: DnsRecord[] = [];
    for (let left = count; left > 0; left -= 1) {
      const start = reader.at;
      const name = reader.name();
      const type = reader.u16();
      if (type === TYPE.OPT) this.#opt(name);
      else if (type !== TYPE.TSIG) records.push(this.#recordOf(name, type));
      else this.#tsig = this.#signature(start, name);
    }
    return records;
  }

  #record(): DnsRecord {
    const { reader } = this;
    const name = reader.name();
    const type = reader.u16();
    if (type === TYPE.OPT || type === TYPE.TSIG) reader.fault("an OPT or TSIG record that is not an additional one");
    return this.#recordOf(name, type);
  }

  #recordOf(name: DomainName, type: number): DnsRecord {
    const { reader } = this;
    const recordClass = reader.u16();
    const ttl = reader.u32();
    const data = this.#within(() => readRdata(reader, type, recordClass));
    return { name, type, class: recordClass, ttl, data };
  }

  /** Reads RDATA after its length, all of which `read` takes, or it has a fault of its own. */
  #within(read: () => RecordData): RecordData {
    const { reader } = this;
    const length = reader.u16();
    reader.need(length);
    const [end, messageEnd] = [reader.at + length, reader.end];
    // One fault is enough to refuse it all; those after it could only cost.
    if (this.#fault === null) {
      reader.end = end;
      try {
        return read();
      } catch (error) {
        if (!(error instanceof DnsDecodeError)) throw error;
        this.#fault = error;
      } finally {
        reader.end = messageEnd;
      }
    }
    reader.at = end;
    return EMPTY;
  }

  /** RFC 6891 §6.1.2: class and TTL of the record are fields of its own. */
  #opt(owner: DomainName): void {
    const { reader } = this;
    if (owner.wire !== ROOT.wire) reader.fault("an OPT record that has a name");
    if (this.#edns !== null) reader.fault("two OPT records");
    const udpOctets = Math.max(reader.u16(), UDP_OCTETS_MIN);
    const upper = reader.u8();
    const version = reader.u8();
    const flags = reader.u16();
    const options: EdnsOption[] = [];
    this.#within(() => {
      if (version !== 0) reader.take(reader.end - reader.at);
      while (reader.at < reader.end) options.push({ code: reader.u16(), data: reader.take(reader.u16()) });
      return EMPTY;
    });
    this.#rcode = upper << 4;
    this.#edns = { udpOctets, version, dnssecOk: (flags & 0x8000) !== 0, options };
  }

  /** RFC 8945 §4.2. */
  #signature(offset: number, keyName: DomainName): TsigRecord {
    const { reader } = this;
    if (reader.u16() !== CLASS.ANY) reader.fault("a TSIG record whose class is not ANY");
    const ttl = reader.u32();
    const length = reader.u16();
    // §5.1: the last of all records, so there is one.
    if (reader.at + length !== reader.end) reader.fault("a TSIG record that does not end the message");
    return {
      offset,
      keyName,
      ttl,
      algorithm: reader.wholeName(),
      timeSigned: reader.u48(),
      fudge: reader.u16(),
      mac: reader.take(reader.u16()),
      originalId: reader.u16(),
      error: reader.u16(),
      otherData: reader.take(reader.u16()),
    };
  }
}
