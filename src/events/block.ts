import { z } from "zod";
import { hostAddress, port, transport } from "./fields.ts";

/** An operator refuses further asking for this internal port of this host. */
export const blockSet = z.strictObject({ device: hostAddress, protocol: transport, internalPort: port });
export const blockLifted = z.strictObject({ device: hostAddress, protocol: transport, internalPort: port });
