import { formatIpv4, parseIpv4 } from "../../../lib/ip.ts";
import { formatIpv6, parseIpv6 } from "../../../lib/ipv6.ts";
import type { RecordData } from "../message.ts";
import type { RdataCodec } from "./codec.ts";

type AddressData = Extract<RecordData, { address: string }>;

/** RFC 1035 §3.4.1. */
export const A: RdataCodec<AddressData> = {
  form: "an IPv4 address, as in 192.0.2.10",
  read: (reader) => ({ kind: "A", address: formatIpv4(reader.u32()) }),
  write: (writer, { address }) => writer.u32(parseIpv4(address) as number),
  text: ({ address }) => address,
  parse(fields) {
    const value = parseIpv4(fields.field()) ?? fields.wrong();
    return { kind: "A", address: formatIpv4(value) };
  },
};

/** RFC 3596 §2.2. */
export const AAAA: RdataCodec<AddressData> = {
  form: "an IPv6 address, as in 2001:db8::10",
  read: (reader) => ({ kind: "AAAA", address: formatIpv6(Array.from({ length: 8 }, () => reader.u16())) }),
  write(writer, { address }) {
    for (const group of parseIpv6(address) as number[]) writer.u16(group);
  },
  text: ({ address }) => address,
  parse(fields) {
    const groups = parseIpv6(fields.field()) ?? fields.wrong();
    return { kind: "AAAA", address: formatIpv6(groups) };
  },
};
