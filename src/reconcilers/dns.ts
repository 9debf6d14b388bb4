import type { DnsRow } from "../lib/dns-row.ts";
import { selectDns } from "../reducers/select/dns-rows.ts";
import type { State } from "../reducers/state.ts";
import { canonicalJson } from "../lib/canonical-json.ts";
import type { ReconcilerDefinition } from "./contract.ts";

/** Converges what the DNS server serves: names, zones, views, and the keys that updates are signed with. */
export function dns(): ReconcilerDefinition<State, DnsRow, DnsRow> {
  return {
    name: "dns",
    select: selectDns(),
    matches: (spec, observed) => canonicalJson(spec) === canonicalJson(observed),
    policy: "sync",
    // The server has only what it was given; it is asked again in case one of us is mistaken.
    refreshMs: 5 * 60_000,
    retry: { minMs: 100, maxMs: 30_000, jitter: 0.2 },
    // Of a subnet that went all names go, and of what is gone nothing may be told any more.
    deleteFractionMax: 1,
  };
}
