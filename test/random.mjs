/**
 * mulberry32: the same seed gives the same run on any machine.
 * @param {number} seed
 * @returns {() => number} 32 random bits
 */
export function randomBits(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/**
 * @param {number} seed
 * @returns {(below: number) => number}
 */
export function random(seed) {
  const bits = randomBits(seed);
  return (below) => bits() % below;
}
