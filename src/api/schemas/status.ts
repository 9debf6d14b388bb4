import { z } from "zod";
import { confirmationSchema } from "./change.ts";
import { seq, time } from "./fields.ts";

const level = z.enum(["ok", "degraded", "paused", "stopped"]);

export const passSchema = z
  .strictObject({
    id: z.number().int(),
    at: time,
    reasons: z.array(z.string()),
    through: seq,
    observedFresh: z.boolean(),
    created: z.number().int(),
    updated: z.number().int(),
    deleted: z.number().int(),
    failed: z.number().int(),
    heldBack: z.number().int(),
    driftBy: z.string().nullable(),
    durationMs: z.number(),
    error: z.string().nullable(),
  })
  .meta({ id: "Pass" });
export type PassDocument = z.infer<typeof passSchema>;

export const reconcilerSchema = z
  .strictObject({
    name: z.string(),
    level,
    message: z.string(),
    lastSuccessAt: time.nullable(),
    failingSince: time.nullable(),
    errorsCurrent: z.number().int(),
    heldBack: z.number().int(),
    pausedUntil: time.nullable(),
    lastPass: passSchema.nullable(),
  })
  .meta({ id: "Reconciler" });
export type ReconcilerDocument = z.infer<typeof reconcilerSchema>;

export const reconcilerWithPasses = reconcilerSchema
  .extend({ passes: z.array(passSchema) })
  .meta({ id: "ReconcilerWithPasses" });

export const reconcilerPlan = z.array(z.strictObject({ op: z.string(), key: z.string(), owners: z.array(z.string()) }));

export const statusSchema = z
  .strictObject({
    version: z.string(),
    instanceId: z.string(),
    mode: z.enum(["starting", "running", "safe", "stopped"]),
    ready: z.boolean(),
    reasons: z.array(z.string()),
    fault: z
      .strictObject({
        code: z.string(),
        seq: seq.describe("the first record that is damaged or missing"),
        message: z.string(),
        next: z.string().describe("what mends it: a sentence with the command to type"),
      })
      .nullable()
      .describe("what is wrong with the log, while in safe mode"),
    log: z
      .strictObject({
        base: seq.describe("records up to this one have left the log for the archive"),
        verification: z
          .strictObject({ state: z.enum(["running", "ok", "damaged", "failed"]), through: seq, message: z.string() })
          .nullable()
          .describe("the check of every record that each start makes beside its work"),
      })
      .meta({ id: "LogStatus" }),
    warnings: z.array(z.string()),
    startedAt: time,
    uptime: z.number().int().describe("seconds"),
    seq,
    wans: z.array(
      z.strictObject({
        interface: z.string(),
        up: z.boolean(),
        externalAddress: z.string().nullable(),
        gateway: z.string().nullable().describe("where its default route leads: an address, or link; null: nowhere"),
      }),
    ),
    lans: z.array(
      z.strictObject({
        interface: z.string(),
        up: z.boolean(),
        addresses: z.array(z.string()),
        nonce: z.enum(["strict", "same-host"]),
      }),
    ),
    tunnel: z
      .strictObject({
        interface: z.string(),
        up: z.boolean().describe("false as long as no device is on a subnet, too"),
        listenPort: z.number().int(),
        subnets: z.number().int(),
        devices: z.number().int(),
      })
      .nullable()
      .describe("WireGuard; null while it is off"),
    ports: z.strictObject({ total: z.number().int(), devices: z.number().int(), failing: z.number().int() }),
    sockets: z.array(z.string()),
    reconcilers: z.array(reconcilerSchema.pick({ name: true, level: true, message: true })),
    confirmations: z.array(confirmationSchema).describe("changes that are taken back by themselves unless confirmed"),
  })
  .meta({ id: "Status" });
export type StatusDocument = z.infer<typeof statusSchema>;

export const readinessSchema = z
  .strictObject({ ready: z.boolean(), reasons: z.array(z.string()) })
  .meta({ id: "Readiness" });

export const requestSchema = z
  .strictObject({
    at: time,
    protocol: z.string(),
    from: z.string(),
    interface: z.string().nullable(),
    request: z.string(),
    decision: z.string(),
    code: z.string().nullable(),
    message: z.string(),
    durationMs: z.number(),
  })
  .meta({ id: "Request" });
export type RequestDocument = z.infer<typeof requestSchema>;
