import type { TrafficDocument } from "../api/schemas/device.ts";
import { durationText } from "./duration.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;
const COLUMNS_MAX = 48;

/** "1.4 MiB". */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** "↓ ▁▁▃█▂  12.0 MiB, at most 9.1 MiB in 30 min": each way on a line, as many columns as fit a terminal. */
export function trafficLines({ slots, slotSeconds }: TrafficDocument): string[] {
  const each = Math.max(1, Math.ceil(slots.length / COLUMNS_MAX));
  return (["receivedBytes", "sentBytes"] as const).map((way) => {
    const columns: number[] = [];
    // The newest column is whole: an odd rest is the oldest.
    for (let end = slots.length; end > 0; end -= each) {
      columns.unshift(slots.slice(Math.max(0, end - each), end).reduce((sum, slot) => sum + slot[way], 0));
    }
    const [most, all] = [Math.max(0, ...columns), columns.reduce((sum, bytes) => sum + bytes, 0)];
    const sign = way === "receivedBytes" ? "↓" : "↑";
    if (all === 0) return `${sign} nothing`;
    const line = columns.map((bytes) => barOf(bytes, most)).join("");
    return `${sign} ${line}  ${bytesText(all)}, at most ${bytesText(most)} in ${durationText(each * slotSeconds)}`;
  });
}

/** Nothing is a blank, and the least something is seen. */
const barOf = (bytes: number, most: number): string =>
  bytes === 0 ? " " : (BARS[Math.min(BARS.length - 1, Math.floor((bytes / most) * BARS.length))] as string);
