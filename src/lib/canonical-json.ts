/**
 * JSON text that is the same for equal values on any machine: keys in code-unit order, no white space (RFC 8785's order;
 * our values hold no numbers on which JSON serialisers differ). Integer-like keys, which JavaScript moves to the front
 * of an object, are sorted like any other.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`);
  return `{${fields.join(",")}}`;
}
