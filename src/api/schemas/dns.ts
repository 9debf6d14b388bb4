import { z } from "zod";
import { TTL_MAX, viewId } from "../../events/dns.ts";
import { managedBy, seq, time } from "./fields.ts";

export const recordSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    type: z.string(),
    value: z.string().describe("RDATA in canonical presentation form"),
    ttl: z.number().int(),
    source: z.enum(["manual", "update", "device"]).describe("device: what a device is called by itself"),
    device: z
      .strictObject({ id: z.string(), name: z.string() })
      .nullable()
      .describe("whose it is; null: an operator's"),
    expiresAt: time.nullable().describe("unless it is renewed; null: never"),
    views: z.array(z.string()).nullable().describe("who sees it: ids of subnets, lan:INTERFACE; null: everyone"),
    outside: z.boolean().describe("the name is in no zone of ours: the internet may have one like it, which is hidden"),
    managedBy,
    revision: seq,
  })
  .meta({ id: "Record" });
export type RecordRow = z.infer<typeof recordSchema>;

export const recordsQuery = {
  name: z.string().max(1024).optional().describe("only at this name"),
  device: z.string().max(64).optional().describe("only of this device, by name or id"),
};

const ttl = z.number().int().min(0).max(TTL_MAX).describe("seconds");
const value = z.string().min(1).max(4096).describe("as in a zone file; a text without quotes is one string");

export const recordAdd = z
  .strictObject({
    name: z.string().min(1).max(1024),
    type: z.string().min(1).max(16).describe("A, AAAA, CNAME, TXT, SRV, PTR, CAA, HTTPS, SVCB, MX, TYPE65280…"),
    value,
    ttl: ttl.nullable().default(null).describe("null: that of the others of this name and type, or 300"),
    views: z.array(viewId).min(1).max(256).nullable().default(null).describe("who sees the name; null: everyone"),
  })
  .meta({ id: "RecordAdd" });

export const recordEdit = z.strictObject({ ttl: ttl.optional(), value: value.optional() }).meta({ id: "RecordEdit" });

export const dnsKeySchema = z
  .strictObject({
    name: z.string().describe("of the device"),
    keyName: z.string(),
    algorithm: z.literal("hmac-sha256"),
    secret: z.string().describe("base64"),
    server: z.string().describe("the resolver that takes the updates"),
    forms: z
      .strictObject({ bindFile: z.string(), option: z.string(), certbot: z.string(), lego: z.string() })
      .describe("as nsupdate -k, nsupdate -y and knsupdate, certbot and lego take it"),
  })
  .meta({ id: "DnsKey" });
export type DnsKeyDocument = z.infer<typeof dnsKeySchema>;

export const askQuery = {
  name: z.string().min(1).max(1024),
  type: z.string().min(1).max(16).default("A"),
  view: z
    .string()
    .max(64)
    .optional()
    .describe("whose resolver: a subnet's id or name, or lan:INTERFACE; else the first"),
};

export const explanationSchema = z
  .strictObject({
    view: z.string().describe("whose resolver was asked"),
    viewName: z.string().describe("the subnet's name, or lan:INTERFACE"),
    otherViews: z.array(z.string()).describe("names of all others, which may answer something else"),
    decision: z
      .enum(["zone", "local", "cached", "forwarded", "blocked", "failed"])
      .describe("zone: one of ours; local: a special name that is nobody's"),
    why: z.string(),
    zone: z.string().nullable().describe("of ours that answers; null: none does"),
    rcode: z.string(),
    answers: z.array(z.strictObject({ name: z.string(), type: z.string(), ttl: z.number(), value: z.string() })),
    durationMs: z.number(),
  })
  .meta({ id: "Explanation" });
export type ExplanationDocument = z.infer<typeof explanationSchema>;
/** What a resolver says of itself. */
export type ExplainedAnswer = Omit<ExplanationDocument, "viewName" | "otherViews">;

export const queriesSchema = z
  .strictObject({
    logged: z.boolean().describe("`dns.queryLog` of the configuration; off, none are kept"),
    queries: z
      .array(
        z.strictObject({
          at: z.string().describe("ISO 8601"),
          view: z.string(),
          from: z.string(),
          transport: z.enum(["udp", "tcp"]),
          name: z.string(),
          type: z.string(),
          rcode: z.string(),
          durationMs: z.number(),
        }),
      )
      .describe("newest first"),
  })
  .meta({ id: "Queries" });
export type QueriesDocument = z.infer<typeof queriesSchema>;
