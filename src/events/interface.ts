import { z } from "zod";
import { cidr, interfaceName, port, routeGateway, transport } from "./fields.ts";

/** What the kernel says of an interface that is configured as WAN or LAN, settled for 2 s. */
export const interfaceObserved = z.strictObject({
  name: interfaceName,
  up: z.boolean(),
  /** In the kernel's order: the first global address of a WAN is its external address. */
  addresses: z.array(cidr).max(64),
  /** Of a WAN: where its IPv4 default route leads; null while it has none. */
  gateway: routeGateway.nullable(),
});

/** The interface is gone from the kernel. */
export const interfaceLost = z.strictObject({ name: interfaceName });

/** The program's own and every other local listener that a WAN address reaches: the whole list, on each change. */
export const listenersObserved = z.strictObject({
  listeners: z.array(z.strictObject({ protocol: transport, port })).max(4096),
});
