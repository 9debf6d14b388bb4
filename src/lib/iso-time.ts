/** An instant in Unix milliseconds as ISO 8601 text: of its input alone, so that the pure core may say it. */
export const isoTime = (at: number): string => new Date(at).toISOString();
