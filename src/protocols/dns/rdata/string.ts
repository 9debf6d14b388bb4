import type { RecordData } from "../message.ts";
import type { RdataCodec } from "./codec.ts";
import { octetsOf, stringText } from "./text.ts";

type TextData = Extract<RecordData, { kind: "TXT" }>;
type CaaData = Extract<RecordData, { kind: "CAA" }>;

const STRING_OCTETS_MAX = 255;
/** RFC 8659 §4.1. */
const TAG = /^[A-Za-z0-9]{1,255}$/;

/** RFC 1035 §3.3.14. A string that is longer than one may be is taken for several, as those who read it join them again. */
export const TXT: RdataCodec<TextData> = {
  form: 'text in quotes, as in "v=spf1 -all"',
  read(reader) {
    const strings = [reader.string()];
    while (reader.at < reader.end) strings.push(reader.string());
    return { kind: "TXT", strings };
  },
  write(writer, { strings }) {
    for (const each of strings) writer.string(each);
  },
  text: ({ strings }) => strings.map(stringText).join(" "),
  parse(fields) {
    const strings = [...pieces(octetsOf(fields.field()))];
    while (fields.more) strings.push(...pieces(octetsOf(fields.field())));
    return { kind: "TXT", strings };
  },
};

function* pieces(octets: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at === 0 || at < octets.length; at += STRING_OCTETS_MAX) {
    yield octets.slice(at, at + STRING_OCTETS_MAX);
  }
}

/** RFC 8659 §4. */
export const CAA: RdataCodec<CaaData> = {
  form: 'flags, a tag and a value in quotes, as in 0 issue "letsencrypt.org"',
  read(reader) {
    const flags = reader.u8();
    const tag = String.fromCharCode(...reader.string());
    if (!TAG.test(tag)) reader.fault("a CAA tag that is not letters and digits");
    return { kind: "CAA", flags, tag, value: reader.take(reader.end - reader.at) };
  },
  write(writer, { flags, tag, value }) {
    writer.u8(flags);
    writer.string(Uint8Array.from(tag, (character) => character.charCodeAt(0)));
    writer.octets(value);
  },
  text: ({ flags, tag, value }) => `${flags} ${tag} ${stringText(value)}`,
  parse(fields) {
    const [flags, tag] = [fields.number(255), fields.field()];
    return TAG.test(tag) ? { kind: "CAA", flags, tag, value: octetsOf(fields.field()) } : fields.wrong();
  },
};
