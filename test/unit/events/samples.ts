import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { PendingRecord } from "../../../src/events/envelope.ts";
import { event, type PortreeveEvent, type PortreeveRecord } from "../../../src/events/index.ts";
import type { EventLog } from "../../../src/events/log.ts";

/** 2024-05-01T00:00:00.000Z, a round instant to count from. */
export const T0 = 1_714_521_600_000;

/** The `index`-th of a made-up history: mappings, then their leases' ends, from a few devices. */
export function pending(index: number): PendingRecord<PortreeveEvent> {
  const device = `192.168.7.${2 + (index % 50)}`;
  const id = `m${index.toString(16).padStart(12, "0")}`;
  const nonce = index.toString(16).padStart(24, "0");
  const claim = {
    key: `pcp:${nonce}`,
    source: "pcp" as const,
    device,
    nonce,
    clientPort: 5350,
    lifetime: 7200,
    expiresAt: T0 + 7_200_000 + index,
    filters: [],
    description: null,
    enabled: true,
  };
  const granted = event("mapping.granted", {
    id,
    wan: "wan0",
    protocol: "tcp",
    externalPort: 1024 + (index % 60_000),
    internalAddress: device,
    internalPort: 8080,
    host: null,
    count: 1,
    interface: "lan0",
    label: index % 7 === 0 ? 'Küche "8080" \\ ☃' : null,
    enabled: true,
    sourceAddress: null,
    from: [],
    name: null,
    claim,
  });
  const made = index % 5 === 4 ? event("lease.expired", { mappingId: id, claimKey: claim.key }) : granted;
  return { at: T0 + index, source: `pcp:${device}`, requestId: `q${index}`, causedBy: null, event: made };
}

export const pendings = (first: number, count: number): PendingRecord<PortreeveEvent>[] =>
  Array.from({ length: count }, (_, offset) => pending(first + offset));

/** What a record was made from: what must come back out of any log, whatever it adds. */
export function madeFrom({
  at,
  source,
  requestId,
  causedBy,
  event: of,
}: PortreeveRecord): PendingRecord<PortreeveEvent> {
  return { at, source, requestId, causedBy, event: of };
}

export async function collect(log: Pick<EventLog, "read">, after = 0, to?: number): Promise<PortreeveRecord[]> {
  const records: PortreeveRecord[] = [];
  for await (const record of log.read(after, to === undefined ? {} : { to })) records.push(record);
  return records;
}

/** Appends records `first`… of the made-up history at the head. */
export const append = (log: EventLog, first: number, count = 1): Promise<readonly PortreeveRecord[]> =>
  log.append({ expectedHead: log.head.seq, records: pendings(first, count), answers: [] });

/** As it is before a test changes it. */
const TEMPORARY = tmpdir();

/** Removed when the test ends; for one that lasts a file, pass `afterAll` at its top. */
export function temporaryDirectory(atEnd: (remove: () => void) => void = onTestFinished): string {
  const directory = mkdtempSync(join(TEMPORARY, "portreeve-test-"));
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
