import { formatName, parseName } from "../../../../lib/domain-name.ts";
import { CLASS, rcodeName, typeNumber } from "../../../../protocols/dns/constants.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import type { DnsRecord, Message } from "../../../../protocols/dns/message.ts";
import { recordText } from "../../../../protocols/dns/rdata/index.ts";
import { answerFrom } from "../zones/authority.ts";
import type { Resolution } from "../forwarder/resolution.ts";
import { decoded, type Forwarding } from "../forwarder/forwarding.ts";
import type { Explanation } from "../../messages.ts";
import type { View } from "../zones/views.ts";
import type { ZoneData } from "../zones/zone-data.ts";

/** What a client of a view would be answered, by the very way that its queries take, with the reasons. */
export async function explain(
  { zones, forwarding }: { readonly zones: ZoneData; readonly forwarding: Forwarding },
  view: View,
  asked: { readonly name: string; readonly type: string },
): Promise<Explanation> {
  const started = performance.now();
  const [name, type] = [parseName(asked.name), typeNumber(asked.type)];
  const failed = (why: string): Explanation => unexplained(view.view, why);
  if (name === null) return failed(`${asked.name} is no domain name`);
  if (type === null) return failed(`${asked.type} is no type of record`);
  const question = { name, type, class: CLASS.IN };
  const answered = answerFrom(zones, view, question);
  const durationMs = (): number => Math.round(performance.now() - started);
  if (answered !== null && answered.outside === null) {
    const { rcode, answers, apex } = answered;
    const zone = formatName(apex);
    const why = `the gateway answers for ${zone} itself`;
    const common = { view: view.view, decision: "zone", why, zone, durationMs: durationMs() } as const;
    return { ...common, rcode: rcodeName(rcode), answers: texts(answers) };
  }
  let resolution: Resolution | null = null;
  const target = answered?.outside ?? name;
  const query = encodeMessage({ ...QUERY, questions: [{ ...question, name: target }] });
  const client = { listener: { view: view.view }, address: "ask", transport: "tcp" as const };
  const bytes = await forwarding.forward(query, client, (made) => {
    resolution = made;
  });
  const reply = decoded(bytes);
  if (reply === null) return failed("the answer cannot be read");
  const { kind, why } = wordsOf(resolution);
  const zone = answered === null ? null : formatName(answered.apex);
  const leads = answered === null ? "" : `an alias of ours leads to ${formatName(target)}; `;
  const answers = texts([...(answered?.answers ?? []), ...reply.answers]);
  const common = { view: view.view, decision: kind, why: leads + why, zone, durationMs: durationMs() } as const;
  return { ...common, rcode: rcodeName(reply.rcode), answers };
}

const QUERY: Message = {
  id: 0,
  response: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
  edns: null,
};

/** Of what nobody was asked. */
export function unexplained(view: string, why: string, rcode: "SERVFAIL" | "REFUSED" = "SERVFAIL"): Explanation {
  return { view, decision: "failed", why, zone: null, rcode, answers: [], durationMs: 0 };
}

const texts = (records: readonly DnsRecord[]): Explanation["answers"] => records.map(recordText);

function wordsOf(resolution: Resolution | null): { kind: Explanation["decision"]; why: string } {
  switch (resolution?.kind) {
    case undefined:
      return { kind: "failed", why: "nothing is known of it" };
    case "local":
      return { kind: "local", why: resolution.why };
    case "refused":
      return { kind: "blocked", why: resolution.why };
    case "cached":
      return {
        kind: "cached",
        why: `remembered for ${resolution.ageSeconds} s${resolution.stale ? ", and out of date" : ""}`,
      };
    case "forwarded":
      return { kind: "forwarded", why: `${resolution.upstream} answered in ${Math.round(resolution.ms)} ms` };
    case "blocked":
      return {
        kind: "blocked",
        why: `${resolution.upstream} answered with ${resolution.address}, an address of a private network, for a public name (dns.rebinding.allow takes the name's domain)`,
      };
    case "limited":
      return { kind: "failed", why: "too many queries are under way" };
    case "failed":
      return { kind: "failed", why: resolution.reasons.join("; ") };
  }
}
