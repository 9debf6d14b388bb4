// Machines are small and noisy: medians of interleaved pairs, and an interval that says how sure we are.

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/**
 * 95 % interval of the median by its order statistics: of 9 values the 2nd and the 8th (96.1 %), whatever their
 * distribution.
 * @param {readonly number[]} values
 * @returns {[number, number] | null} null: too few values for one
 */
export function medianInterval(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  for (let rank = Math.floor(n / 2); rank >= 1; rank -= 1) {
    if (1 - 2 * binomialTail(n, rank - 1) >= 0.95) return [sorted[rank - 1] ?? 0, sorted[n - rank] ?? 0];
  }
  return null;
}

/** P(X ≤ k) of a fair coin thrown n times. @param {number} n @param {number} k */
function binomialTail(n, k) {
  let term = 0.5 ** n;
  let sum = 0;
  for (let index = 0; index <= k; index += 1) {
    sum += term;
    term = (term * (n - index)) / (index + 1);
  }
  return sum;
}
