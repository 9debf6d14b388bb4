import type { Command } from "commander";
import type { DeviceDocument, TrafficDocument } from "../../api/schemas/device.ts";
import type { Cli } from "../cli.ts";
import { devicePath } from "../device-choice.ts";
import { whenText } from "../duration.ts";
import { examples } from "../program-parts.ts";
import { textTable } from "../text-table.ts";
import { bytesText } from "../traffic-text.ts";

/** As many as a screen holds. */
const DEVICES_MAX = 20;
/** Whole steps of ten seconds: the last minute. The newest is not over yet. */
const SLOTS = 6;

/** One row of `top --json`. */
export interface TopRow {
  readonly device: { readonly id: string; readonly name: string };
  readonly address: string;
  readonly endpoint: string | null;
  readonly handshakeAt: string | null;
  /** Each second, over the last minute. */
  readonly receivedBytesPerSecond: number;
  readonly sentBytesPerSecond: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export function addTopVerb(program: Command, cli: Cli): void {
  examples(program.command("top"), ["portreeve top"])
    .description("the devices whose tunnels are busiest now, with the rates of the last minute")
    .action(async () => {
      const rows = await busiest(cli);
      await cli.show(rows, () => {
        if (rows.length === 0) return "No device has been seen yet. `portreeve device list` shows those there are.\n";
        const cells = rows.map((row) => [
          row.device.name,
          row.address,
          `${bytesText(row.receivedBytesPerSecond)}/s`,
          `${bytesText(row.sentBytesPerSecond)}/s`,
          bytesText(row.receivedBytes),
          bytesText(row.sentBytes),
          row.endpoint ?? "",
          whenText(row.handshakeAt, cli.now),
        ]);
        return textTable(
          ["DEVICE", "ADDRESS", "FROM IT", "TO IT", "ALL FROM", "ALL TO", "IS AT", "SEEN"],
          cells,
          cli.paint,
        );
      });
    });
}

/** The latest seen are asked for: who is silent is not busy. */
async function busiest(cli: Cli): Promise<TopRow[]> {
  const devices = await cli.client.call<DeviceDocument[]>({ path: "/devices" });
  const seen = devices
    .filter(({ tunnel }) => tunnel?.handshakeAt != null)
    .sort((a, b) => seenAt(b) - seenAt(a))
    .slice(0, DEVICES_MAX);
  const rows: TopRow[] = [];
  for (const { id, name, address, tunnel } of seen) {
    if (tunnel === null) continue;
    const path = `${devicePath(id)}/traffic`;
    const traffic = await cli.client.call<TrafficDocument>({ path, query: { span: "quarter-hour" } });
    rows.push({
      device: { id, name },
      address,
      endpoint: tunnel.endpoint,
      handshakeAt: tunnel.handshakeAt,
      ...ratesOf(traffic),
      receivedBytes: tunnel.receivedBytes,
      sentBytes: tunnel.sentBytes,
    });
  }
  return rows.sort((a, b) => rate(b) - rate(a));
}

const seenAt = ({ tunnel }: DeviceDocument): number => Date.parse(tunnel?.handshakeAt ?? "");
const rate = (row: TopRow): number => row.receivedBytesPerSecond + row.sentBytesPerSecond;

function ratesOf({
  slots,
  slotSeconds,
}: TrafficDocument): Pick<TopRow, "receivedBytesPerSecond" | "sentBytesPerSecond"> {
  const last = slots.slice(0, -1).slice(-SLOTS);
  const seconds = Math.max(1, last.length) * slotSeconds;
  const perSecond = (way: "receivedBytes" | "sentBytes"): number =>
    Math.round(last.reduce((sum, slot) => sum + slot[way], 0) / seconds);
  return { receivedBytesPerSecond: perSecond("receivedBytes"), sentBytesPerSecond: perSecond("sentBytes") };
}
