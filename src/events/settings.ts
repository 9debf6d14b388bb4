import { z } from "zod";
import { domainName, interfaceName, ipv4, port } from "./fields.ts";

/** What decisions depend on and the configuration file says. Recorded, so that a replay decides and derives the same. */
export const settings = z.strictObject({
  wan: z.strictObject({
    /** Configured or found by the default route, first is preferred. */
    interfaces: z.array(interfaceName).max(16),
    /** "auto", or the literal that a 1:1 NAT in front of the machine has. */
    externalAddress: z.union([z.literal("auto"), ipv4]),
    /** Whether HTTP on port 80 is sent to HTTPS; absent: auto. */
    httpRedirect: z.enum(["auto", "on", "off"]).optional(),
  }),
  lan: z
    .array(
      z.strictObject({
        interface: interfaceName,
        nonce: z.enum(["strict", "same-host"]),
        /** Who may map there: every address to itself, or only registered devices. */
        devices: z.enum(["any", "known"]),
        /** It has a resolver of ours. */
        dns: z.boolean(),
        /** `own-address`: unsigned ones of the sender's own address are taken too. */
        dnsUpdates: z.enum(["signed", "own-address"]),
        /** Its devices' names are below it; null: one is made of the interface's name. */
        zone: domainName.nullable(),
      }),
    )
    .max(64),
  /** Null: no WireGuard. */
  wireguard: z
    .strictObject({ interface: interfaceName, listenPort: port, nonce: z.enum(["strict", "same-host"]) })
    .nullable(),
  portControl: z.strictObject({
    pcp: z.boolean(),
    natpmp: z.boolean(),
    upnp: z.boolean(),
    lifetime: z.strictObject({ pcpMin: z.number().int().positive(), max: z.number().int().positive() }),
    /** Seconds. */
    quarantine: z.number().int().nonnegative(),
    protectedPorts: z.array(port),
    perDevice: z.strictObject({
      mappings: z.number().int().positive(),
      ports: z.number().int().positive(),
      requestsPerSecond: z.number().int().positive(),
      eventsPerMinute: z.number().int().positive(),
      eventBurst: z.number().int().positive(),
    }),
  }),
  dns: z.strictObject({
    listenPort: port,
    /** Of subnets that have none of their own. */
    upstreams: z.union([z.literal("system"), z.array(z.string().min(1).max(255)).min(1).max(8)]),
    /** Ours alone: nothing at or below them is asked of anybody else. The first is the parent of zones that were not named. */
    privateZones: z.array(domainName).max(64),
    /** No device may take them, or what is below them. */
    protectedNames: z.array(domainName).max(256),
    perDevice: z.strictObject({ records: z.number().int().positive() }),
  }),
});
export type Settings = z.infer<typeof settings>;

export const settingsChanged = z.strictObject({ settings });
