/** Whether two flat rows have the same fields; a field may be a list of strings. All fields of our rows are managed. */
export function sameRow(spec: object, observed: object): boolean {
  const [left, right] = [spec as Record<string, unknown>, observed as Record<string, unknown>];
  for (const field in left) if (!sameValue(left[field], right[field])) return false;
  for (const field in right) if (!(field in left)) return false;
  return true;
}

function sameValue(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
  return left.every((each, index) => each === right[index]);
}
