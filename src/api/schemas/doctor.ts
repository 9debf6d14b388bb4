import { z } from "zod";
import { interfaceName, port, transport } from "../../events/fields.ts";

/** Names that become words of a command: none can be taken for an option. */
const word = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$/);

const nic = interfaceName.regex(/^[^-]/);

const place = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("ufw") }),
    z.strictObject({
      kind: z.literal("iptables"),
      program: z.enum(["iptables-nft", "iptables-legacy"]),
      chain: word,
    }),
    z.strictObject({ kind: z.literal("nft"), family: z.enum(["ip", "ip6", "inet"]), table: word, chain: word }),
    z.strictObject({
      kind: z.literal("firewalld"),
      from: word,
      to: word,
      bind: z.array(z.strictObject({ interface: nic, zone: word })).max(2),
    }),
  ])
  .meta({ id: "ExceptionPlace" });

const allow = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("forwarded") }),
    z.strictObject({ kind: z.literal("proxied"), port }),
    z.strictObject({ kind: z.literal("answers"), interface: nic }),
    z.strictObject({ kind: z.literal("between"), from: nic, to: nic }),
    z.strictObject({ kind: z.literal("service"), interface: nic, protocol: transport, port }),
  ])
  .meta({ id: "ExceptionAllow" });

/** Everything that is typed follows from it. */
export const exceptionSchema = z
  .strictObject({ place, allow, mark: z.number().int().positive() })
  .meta({ id: "FirewallException" });
export type ExceptionDocument = z.infer<typeof exceptionSchema>;

export const findingSchema = z
  .strictObject({
    check: z.string().describe("what was looked at"),
    level: z.enum(["ok", "warning", "problem"]),
    message: z.string(),
    details: z.array(z.string()),
    fix: z.string().nullable().describe("what to do: a sentence"),
    exception: exceptionSchema
      .extend({
        commands: z.array(z.string()).describe("what a person would type"),
        note: z.string().nullable().describe("what to know once it is there"),
      })
      .nullable()
      .describe("what `doctor --fix` would add to another firewall"),
  })
  .meta({ id: "Finding" });
export type FindingDocument = z.infer<typeof findingSchema>;

export const doctorSchema = z
  .strictObject({
    healthy: z.boolean().describe("no finding is a problem"),
    findings: z.array(findingSchema),
  })
  .meta({ id: "Doctor" });
export type DoctorDocument = z.infer<typeof doctorSchema>;
