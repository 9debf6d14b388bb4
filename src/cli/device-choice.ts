import type { DeviceDocument } from "../api/schemas/device.ts";
import type { Client } from "./client.ts";
import type { Target } from "./port-text.ts";

/** How a device is named on the command line. */
export const DEVICE = "name or id of the device";
export const devicePath = (name: string): string => `/devices/${encodeURIComponent(name)}`;

/** Where packets for it go. */
export async function addressOf(client: Client, target: Target): Promise<string> {
  if ("address" in target) return target.address;
  return (await client.call<DeviceDocument>({ path: devicePath(target.device) })).address;
}
