import type { PortreeveRecord } from "../../events/index.ts";
import { isoTime } from "../../lib/iso-time.ts";
import type { RecordDocument } from "../schemas/history.ts";

/** A record as the contract has it: the envelope and the event in one flat document. */
export function recordView(record: PortreeveRecord): RecordDocument {
  const { seq, at, source, requestId, causedBy, event, prevHash, hash } = record;
  const { type, v, data } = event;
  return { seq, at: isoTime(at), source, requestId, causedBy, type, v, data, prevHash, hash };
}

/** The mapping a record is about; renewals name many and are no history of one. */
export function mappingOf({ event }: PortreeveRecord): string | null {
  switch (event.type) {
    case "mapping.granted":
    case "mapping.changed":
    case "mapping.restored":
      return event.data.id;
    case "lease.granted":
    case "lease.changed":
    case "lease.released":
    case "lease.expired":
      return event.data.mappingId;
    default:
      return null;
  }
}
