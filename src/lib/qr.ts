import { encode, renderSVG } from "uqr";

/**
 * As scanners like it: four modules of quiet zone (ISO/IEC 18004 §9.1), dark on light whatever the page. As small as can
 * be, and within that as robust: a device's configuration fits 80 columns, and a screen has no stains.
 */
const OPTIONS = { ecc: "L", boostEcc: true, border: 4 } as const;

/** An SVG image. */
export const qrSvg = (text: string): string => renderSVG(text, OPTIONS);

/** Lines of half blocks, two modules a character: `█▀▄ `, light modules drawn, for a dark terminal. */
export function qrLines(text: string): string[] {
  const { data, size } = encode(text, OPTIONS);
  const light = (x: number, y: number): boolean => y < size && data[y]?.[x] === false;
  const glyphs = [" ", "▄", "▀", "█"];
  return Array.from({ length: Math.ceil(size / 2) }, (_, row) =>
    Array.from({ length: size }, (_, x) => glyphs[(light(x, 2 * row) ? 2 : 0) + (light(x, 2 * row + 1) ? 1 : 0)]).join(
      "",
    ),
  );
}
