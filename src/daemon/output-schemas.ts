import { z } from "zod";
import { accountSchema, oneTimeLink, sessionSchema, tokenCreatedSchema, tokenSchema } from "../api/schemas/account.ts";
import { confirmationSchema, revertPlan, revertResult } from "../api/schemas/change.ts";
import { deviceConfigSchema, deviceSchema, trafficSchema } from "../api/schemas/device.ts";
import { doctorSchema } from "../api/schemas/doctor.ts";
import { seq, time } from "../api/schemas/fields.ts";
import {
  logCheck,
  recordSchema,
  snapshotCheck,
  snapshotSchema,
  snapshotWithState,
  stateDiff,
  stateSchema,
} from "../api/schemas/history.ts";
import { planSchema, resultSchema } from "../api/schemas/plan.ts";
import { blockSchema, portSchema } from "../api/schemas/port.ts";
import { provenanceSchema } from "../api/schemas/provenance.ts";
import {
  passSchema,
  reconcilerPlan,
  reconcilerSchema,
  reconcilerWithPasses,
  requestSchema,
  statusSchema,
} from "../api/schemas/status.ts";
import { dnsKeySchema, explanationSchema, queriesSchema, recordSchema as recordRow } from "../api/schemas/dns.ts";
import { routeSchema } from "../api/schemas/route.ts";
import { subnetSchema } from "../api/schemas/subnet.ts";
import { whySchema } from "../api/schemas/why.ts";
import { configSchema } from "../config/schema.ts";
import type { BackupReport } from "../events/backup.ts";
import type { RestoreReport } from "../events/restore.ts";
import type { Acceptance } from "../events/leveldb/restored.ts";
import type { SalvageReport } from "../events/leveldb/salvage.ts";

/** What commands print that no request of the API answers: the ones that need no daemon. */
const count = z.number().int().nonnegative();
const range = z.strictObject({ first: seq, last: seq });
const lost = z.strictObject({ first: seq, last: seq.nullable() });

const backup: z.ZodType<BackupReport> = z.strictObject({ file: z.string(), head: seq, secrets: count });
const restore: z.ZodType<RestoreReport> = z.strictObject({
  dataDir: z.string(),
  head: seq,
  secrets: count,
  left: count,
});
const acceptance: z.ZodType<Acceptance> = z.strictObject({
  dataDir: z.string(),
  head: seq,
  known: seq.nullable(),
  reset: seq,
});
const salvage: z.ZodType<SalvageReport> = z.strictObject({
  dataDir: z.string(),
  target: z.string(),
  after: seq,
  head: seq,
  lost: lost.nullable(),
  leftBehind: range.nullable(),
});
const replay = z.strictObject({
  seq,
  at: time,
  hash: z.string(),
  contentHash: z.string(),
  witnessAhead: seq.nullable(),
  faults: z.array(z.string()).optional().describe("with --verify: invariants that do not hold"),
  state: z.record(z.string(), z.unknown()).optional().describe("with --state"),
});
const offlineLogCheck = logCheck.extend({
  witnessAhead: seq.nullable().optional().describe("with --data-dir: a newer record that the head witness knows of"),
  next: z.string().optional().describe("with --data-dir: what mends it"),
});
const configCheck = z.strictObject({ ok: z.literal(true), file: z.string().nullable(), notes: z.array(z.string()) });
const removed = z.strictObject({ removed: z.array(z.string()).describe("with --unfix: a line for each exception") });

const rateOf = z.number().int().describe("each second, over the last minute");
const top = deviceSchema.pick({ address: true }).extend({
  device: deviceSchema.pick({ id: true, name: true }),
  endpoint: z.string().nullable(),
  handshakeAt: time.nullable(),
  receivedBytesPerSecond: rateOf,
  sentBytesPerSecond: rateOf,
  receivedBytes: z.number().int(),
  sentBytes: z.number().int(),
});

/** A port that is named without its protocol is two, and then there are two documents. */
const onePortOrMore = z.union([portSchema, z.array(portSchema)]);

/**
 * What `portreeve COMMAND --json` prints, for each command that prints data; with `--jsonl` the items of an array are a
 * line each, as the records of `events tail` and `events export` always are. Scripts rely on it as they do on the API.
 */
export const OUTPUTS = {
  status: statusSchema,
  top: z.array(top),
  doctor: z.union([doctorSchema, removed]),
  "port list": z.union([z.array(portSchema), z.array(blockSchema)]),
  "port show": onePortOrMore,
  "port add": onePortOrMore,
  "port edit": onePortOrMore,
  "port remove": onePortOrMore,
  "port enable": onePortOrMore,
  "port disable": onePortOrMore,
  "port keep": onePortOrMore,
  "port block": onePortOrMore,
  "port unblock": z.union([blockSchema, z.array(blockSchema)]),
  "route list": z.array(routeSchema),
  "route show": routeSchema,
  "route add": portSchema,
  "route edit": portSchema,
  "route remove": routeSchema,
  "route enable": portSchema,
  "route disable": portSchema,
  "subnet list": z.array(subnetSchema),
  "subnet add": subnetSchema,
  "subnet edit": subnetSchema,
  "subnet remove": subnetSchema,
  "device list": z.array(deviceSchema),
  "device show": deviceSchema.extend({ traffic: trafficSchema.nullable().describe("null on a LAN") }),
  "device add": deviceSchema,
  "device edit": deviceSchema,
  "device remove": deviceSchema,
  "device promote": deviceSchema,
  "device demote": deviceSchema,
  "device allow": deviceSchema,
  "device ask": deviceSchema,
  "device deny": deviceSchema,
  "device config": z.union([deviceConfigSchema, oneTimeLink]),
  "device key": z.union([deviceSchema.pick({ name: true, publicKey: true, privateKeyKept: true }), dnsKeySchema]),
  "device rekey": deviceSchema,
  "device forget-key": deviceSchema,
  "dns ask": explanationSchema,
  "dns queries": queriesSchema,
  "dns list": z.array(recordRow),
  "dns add": recordRow,
  "dns edit": recordRow,
  "dns remove": recordRow,
  apply: resultSchema,
  import: z.union([planSchema, resultSchema]),
  "request list": z.array(requestSchema),
  "events list": z.array(recordSchema),
  "events tail": recordSchema,
  "events export": recordSchema,
  "events show": recordSchema,
  "events verify": offlineLogCheck,
  "events salvage": salvage,
  "events accept": acceptance,
  plan: planSchema,
  undo: revertResult,
  revert: revertResult,
  confirm: z.array(confirmationSchema),
  "state show": stateSchema,
  "state diff": stateDiff,
  replay,
  "why port": z.union([provenanceSchema, z.array(provenanceSchema), whySchema]),
  "why element": whySchema,
  "why sysctl": whySchema,
  "why device": whySchema,
  "why subnet": whySchema,
  "why peer": whySchema,
  "why address": whySchema,
  "why route": whySchema,
  "why rule": whySchema,
  "why neighbour": whySchema,
  "why block": whySchema,
  "why record": whySchema,
  "reconciler list": z.array(reconcilerSchema),
  "reconciler show": reconcilerWithPasses,
  "reconciler run": z.union([passSchema, reconcilerPlan]),
  "reconciler release-brake": z.union([passSchema, reconcilerPlan]),
  "reconciler pause": resultSchema,
  "reconciler resume": resultSchema,
  "snapshot list": z.array(snapshotSchema),
  "snapshot create": snapshotSchema,
  "snapshot show": snapshotWithState,
  "snapshot verify": snapshotCheck,
  "snapshot restore": salvage,
  "user show": accountSchema,
  "user password": resultSchema,
  "user link": oneTimeLink,
  "user totp": resultSchema,
  "session list": z.array(sessionSchema),
  "session kill": z.strictObject({ ended: count }),
  "token add": tokenCreatedSchema,
  "token list": z.array(tokenSchema),
  "token remove": resultSchema,
  backup,
  restore,
  teardown: z.strictObject({ dataDir: z.string(), removed: z.literal(true) }),
  "config check": configCheck,
  "config schema": z.record(z.string(), z.unknown()).describe("JSON Schema"),
  "config show": configSchema,
  version: z.strictObject({ version: z.string(), node: z.string() }),
} as const satisfies Readonly<Record<string, z.ZodType>>;

/** What any command that changes something prints with `--dry-run`. */
export const DRY_RUN = z.union([planSchema, revertPlan]);

/** They print a script, or nothing but their log. */
export const WITHOUT_OUTPUT: ReadonlySet<string> = new Set(["run", "completion"]);

/** JSON Schema of it, command by command; with `--dry-run` a command prints the plan instead. */
export function outputJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(z.strictObject({ ...OUTPUTS, "--dry-run": DRY_RUN }), { io: "output" });
  return {
    ...schema,
    title: "What `portreeve COMMAND --json` prints, by command",
    description: "`--dry-run`: what any command that changes something prints with that option.",
  };
}
