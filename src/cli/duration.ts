import { instantOf, isoTime } from "../lib/iso-time.ts";
import { usage } from "./exit.ts";

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** "2h", "1h30m", "7d", "45s" in seconds. */
export function parseDuration(text: string): number {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  const seconds = (match?.slice(1) ?? []).reduce((sum, part, index) => {
    return sum + Number(part ?? 0) * (UNITS[index]?.[1] ?? 0);
  }, 0);
  if (match === null || seconds < 1 || seconds > 0xffffffff) {
    throw usage(`${text} is not a duration`, "write it as 45s, 30m, 2h, 1h30m or 7d");
  }
  return seconds;
}

/** The two largest units that matter: "1 h 59 min", "3 d", "12 s". */
export function durationText(seconds: number): string {
  const names = ["d", "h", "min", "s"];
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [index, [, size]] of UNITS.entries()) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${names[index]}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? "0 s" : parts.join(" ");
}

/** "in 1 h 59 min", "2 min ago", "never" for null. */
export function whenText(iso: string | null, now: number): string {
  if (iso === null) return "never";
  const seconds = (Date.parse(iso) - now) / 1000;
  return seconds >= 0 ? `in ${durationText(seconds)}` : `${durationText(-seconds)} ago`;
}

/** An instant that a person names: a seq, an ISO 8601 time, or "2h ago" as one. */
export function parseMoment(text: string, now: number): string {
  if (/^\d+$/.test(text)) return text;
  const ago = /^(\S+) ago$/.exec(text);
  if (ago !== null) return new Date(now - parseDuration(ago[1] as string) * 1000).toISOString();
  const instant = instantOf(text);
  if (instant === null) {
    throw usage(`${text} names no moment`, "give a seq (1842), a time (2026-01-31T12:00:00Z) or `2h ago`");
  }
  return isoTime(instant);
}
