/**
 * What is at the apex of each zone of ours, as it is served and as prerequisites see it (PowerDNS 12351 is what comes of
 * having two of it). Values are in canonical presentation form.
 */

/** Negative answers are kept no longer (RFC 2308 §5): what was just not there may be there in a moment. */
const NEGATIVE_TTL = 5;
const APEX_TTL = 60;

/** Below each apex, the name of whoever answers for it. */
export const NAME_SERVER_LABEL = "ns";
export const nameServerOf = (apex: string): string => `${NAME_SERVER_LABEL}.${apex}`;

export function apexRecords(apex: string, serial: number): { type: "SOA" | "NS"; ttl: number; value: string }[] {
  const server = nameServerOf(apex);
  // Refresh, retry and expire of RFC 1912 §2.2, for secondaries that there may be.
  const soa = `${server} hostmaster.${apex} ${serial} 1200 180 1209600 ${NEGATIVE_TTL}`;
  return [
    { type: "SOA", ttl: APEX_TTL, value: soa },
    { type: "NS", ttl: APEX_TTL, value: server },
  ];
}
