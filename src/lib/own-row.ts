/** By a key that somebody typed: "constructor" and "__proto__" are of every object and are no rows of it. */
export function ownRow<Row>(rows: Readonly<Record<string, Row>>, key: string): Row | undefined {
  return Object.hasOwn(rows, key) ? rows[key] : undefined;
}
