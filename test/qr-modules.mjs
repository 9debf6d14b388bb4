// The modules of a drawn QR code, read from what is seen of it. True: dark.

/** Half blocks, light ones drawn: two modules a character. @param {readonly string[]} lines @returns {boolean[][]} */
export function modulesOfLines(lines) {
  const width = lines[0]?.length ?? 0;
  const rows = lines.flatMap((line) => [
    Array.from(line, (glyph) => glyph === " " || glyph === "▄"),
    Array.from(line, (glyph) => glyph === " " || glyph === "▀"),
  ]);
  // A code has an odd number of rows: below the last there is nothing.
  return rows.slice(0, width);
}

/** One path of 10 by 10 squares. @param {string} svg @returns {boolean[][]} */
export function modulesOfSvg(svg) {
  const [, width = "0", height = "0"] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
  const rows = Array.from({ length: Number(height) / 10 }, () =>
    Array.from({ length: Number(width) / 10 }, () => false),
  );
  for (const [, x = "", y = ""] of svg.matchAll(/M(\d+),(\d+)h10v10h-10z/g)) {
    const row = rows[Number(y) / 10];
    if (row === undefined) throw new Error("a module outside of the image");
    row[Number(x) / 10] = true;
  }
  return rows;
}

/** A picture that any decoder takes: PGM, so many pixels a module. @param {readonly boolean[][]} modules @param {number} scale */
export function pictureOf(modules, scale) {
  const [height, width] = [modules.length * scale, (modules[0]?.length ?? 0) * scale];
  const pixels = Buffer.alloc(width * height, 255);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] === true) pixels[y * width + x] = 0;
    }
  }
  return Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), pixels]);
}
