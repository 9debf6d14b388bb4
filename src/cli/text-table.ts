import { type Paint, printable, type Style } from "./terminal.ts";

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

/** "1 device", "2 devices". */
export const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Code points: good for what addresses, names and most labels are written in. */
const widthOf = (text: string): number => Array.from(text).length;

/** Aligned columns, two spaces apart, the last one ragged. A column that is empty in every row is left out. */
export function textTable(
  heads: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  paint: Paint,
): string {
  const cells = rows.map((row) =>
    row.map((cell) => {
      const { text, ...style } = typeof cell === "string" ? { text: cell } : cell;
      return { text: printable(text), ...style };
    }),
  );
  const columns = heads
    .map((_, index) => index)
    .filter((index) => cells.some((row) => (row[index]?.text ?? "") !== ""));
  const width = (index: number) =>
    Math.max(heads[index]?.length ?? 0, ...cells.map((row) => widthOf(row[index]?.text ?? "")));
  const widths = new Map(columns.map((index) => [index, width(index)]));
  const line = (row: readonly Cell[]): string =>
    columns
      .map((index, place) => {
        const { text, style } = row[index] ?? { text: "" };
        const last = place === columns.length - 1;
        const padded = last ? text : text + " ".repeat(Math.max(0, (widths.get(index) ?? 0) - widthOf(text)));
        return style === undefined ? padded : paint(style, padded);
      })
      .join("  ")
      .trimEnd();
  const head = line(heads.map((text) => ({ text, style: "dim" })));
  return `${[head, ...cells.map(line)].join("\n")}\n`;
}

/** "name   value" lines with aligned values; a value of several lines stays in its column. */
export function textFields(fields: readonly (readonly [string, string | readonly string[]])[], paint: Paint): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  const lines = fields.flatMap(([name, value]) => {
    const values = typeof value === "string" ? [value] : value;
    return values.map((each, index) => {
      const label = (index === 0 ? name : "").padEnd(width);
      return `${paint("dim", label)}  ${printable(each)}`.trimEnd();
    });
  });
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
