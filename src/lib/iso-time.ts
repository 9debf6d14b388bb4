/** An instant in Unix milliseconds as ISO 8601 text: of its input alone, so that the pure core may say it. */
export const isoTime = (at: number): string => new Date(at).toISOString();
export const isoTimeOrNull = (at: number | null): string | null => (at === null ? null : isoTime(at));

const ISO = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** The instant that ISO 8601 text names; null if it is none: `Date.parse` takes "-1" and "5.1" for days of 2001. */
export function instantOf(text: string): number | null {
  const instant = ISO.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(instant) ? null : instant;
}
