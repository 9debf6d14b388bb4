import type { Command } from "commander";
import type { DeviceDocument, RequestDocument } from "../../api/schemas/status.ts";
import type { Cli } from "../cli.ts";
import { whenText } from "../duration.ts";
import { noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

export function addDeviceVerbs(program: Command, cli: Cli): void {
  noun(program, "device", "hosts of served segments that hold a port")
    .command("list")
    .description("devices with what they hold and may hold")
    .action(async () => {
      const devices = await cli.client.call<DeviceDocument[]>({ path: "/devices" });
      await cli.show(devices, () => {
        if (devices.length === 0) return "No device holds a port. One appears here when it asks by PCP or NAT-PMP.\n";
        const rows = devices.map((device) => [
          device.address,
          device.interface,
          `${device.mappings.length} of ${device.quota.mappings}`,
          `${device.ports} of ${device.quota.ports}`,
          `${device.eventsLeft}`,
        ]);
        return textTable(["DEVICE", "INTERFACE", "MAPPINGS", "PORTS", "CHANGES LEFT"], rows, cli.paint);
      });
    });
  noun(program, "request", "what was asked and what was decided")
    .command("list")
    .description("the last requests, newest first; refusals too, in words")
    .option("--limit <n>", "how many", "50")
    .option("--from <who>", "address of a device, `socket` or `token`")
    .option("--decision <word>", "only refused, granted, renewed, released, answered or dropped ones")
    .action(async (query: { limit: string; from?: string; decision?: string }) => {
      const requests = await cli.client.call<RequestDocument[]>({ path: "/requests", query });
      await cli.show(requests, () => {
        if (requests.length === 0) return "Nothing was asked since the start, or nothing that fits.\n";
        return textTable(
          ["WHEN", "FROM", "BY", "REQUEST", "DECISION", "WHY"],
          requests.map((each) => row(each, cli.now)),
          cli.paint,
        );
      });
    });
}

function row({ at, from, protocol, request, decision, code, message }: RequestDocument, now: number) {
  const bad = decision === "refused" || decision === "dropped";
  const why = code === null ? message : `${message} (${code})`;
  return [whenText(at, now), from, protocol, request, bad ? { text: decision, style: "red" as const } : decision, why];
}
