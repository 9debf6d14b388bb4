import { z } from "zod";
import { ipv4, port, transport } from "./fields.ts";

/** An operator refuses further asking for this internal port of this host. */
export const blockSet = z.strictObject({ device: ipv4, protocol: transport, internalPort: port });
export const blockLifted = z.strictObject({ device: ipv4, protocol: transport, internalPort: port });
