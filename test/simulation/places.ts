import { isProtected, type Promises } from "./promises.ts";

export const transportName = (protocol: number): string => (protocol === 6 ? "tcp" : "udp");

/** Whether a device may have this external port: RFC 6887 §15 (quarantine), RFC 6886 §3.3 (companion port). */
export function isFreeFor(
  device: string,
  place: { wan: string; protocol: string; port: number },
  promises: Promises,
  now: number,
): boolean {
  const { wan, protocol, port } = place;
  if (isProtected(protocol, port, promises) || promises.holder(wan, protocol, port) !== undefined) return false;
  const kept = promises.quarantine.get(`${wan}|${protocol}|${port}`);
  if (kept !== undefined && kept.until > now && kept.device !== device) return false;
  const companion = promises.holder(wan, protocol === "tcp" ? "udp" : "tcp", port);
  return companion === undefined || companion.internalAddress === device || !companion.claims.has("natpmp");
}
