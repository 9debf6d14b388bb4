import type { Command } from "commander";
import type { LogCheck, RecordDocument } from "../../api/schemas/history.ts";
import type { LogVerdict } from "../../events/leveldb/verify.ts";
import type { Cli } from "../cli.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { recordLine } from "../event-text.ts";
import { examples, noun } from "../program-parts.ts";
import { eventData } from "../sse.ts";
import { mendingStep } from "../mending.ts";
import { textFields } from "../text-table.ts";
import { addEventRecovery } from "./recovery-verbs.ts";

interface Filters {
  readonly type?: string;
  readonly port?: string;
  readonly after?: string;
  readonly to?: string;
  readonly limit?: string;
}

export function addEventVerbs(program: Command, cli: Cli): void {
  const events = noun(program, "events", "the log: everything that ever happened");
  examples(events, [
    "portreeve events list --type mapping,lease",
    "portreeve events tail",
    "portreeve events export --after 1842",
    "portreeve events verify --data-dir /var/lib/portreeve",
  ]);
  addReadingVerbs(events, cli);
  withFilters(events.command("export"), ["portreeve events export --after 1842"])
    .description("records as NDJSON, one a line, to the end of the log")
    .option("--to <seq>", "none after this record")
    .action(async (query: Filters) => {
      for await (const piece of cli.client.stream({ path: "/events/export", query: { ...query } }))
        await cli.write(piece);
    });
  examples(events.command("verify"), [
    "portreeve events verify",
    "portreeve events verify --data-dir /var/lib/portreeve",
  ])
    .description("read the whole log and check its chain; exits 8 if something is wrong")
    .option("--data-dir <dir>", "of this directory, on a copy, without a daemon")
    .action(async ({ dataDir }: { dataDir?: string }) => {
      const check =
        dataDir === undefined
          ? await cli.client.call<LogCheck>({ path: "/events/verify" })
          : offlineCheck(await cli.outside.programs.verifyLog(dataDir), dataDir);
      await cli.show(check, () => checkText(check, cli));
      if (!check.ok) cli.exitCode = EXIT.problemFound;
    });
  addEventRecovery(events, cli);
}

function withFilters(command: Command, lines: readonly string[]): Command {
  return examples(command, lines)
    .option("--type <types>", "types or families, with commas: lease.granted, mapping")
    .option("--port <id>", "only what is about this port")
    .option("--after <seq>", "only what came after this record");
}

function addReadingVerbs(events: Command, cli: Cli): void {
  withFilters(events.command("list"), [
    "portreeve events list --type mapping,lease",
    "portreeve events list --after 1842",
  ])
    .description("the last records, oldest first; with --after the next ones")
    .option("--to <seq>", "none after this record")
    .option("--limit <n>", "how many; 50, and with --after up to 10000")
    .action(async (filters: Filters) => {
      const limit = filters.limit ?? (filters.after === undefined ? "50" : "10000");
      const records = await cli.client.call<RecordDocument[]>({ path: "/events", query: { ...filters, limit } });
      await cli.show(records, () => {
        return records.length === 0 ? "No record fits.\n" : records.map((each) => recordLine(each, cli.paint)).join("");
      });
    });
  withFilters(events.command("tail"), ["portreeve events tail"])
    .description("records as they come, until Ctrl-C; --after starts in the past")
    .action(async (filters: Filters) => await tail(cli, filters));
  examples(events.command("show"), ["portreeve events show 1842"])
    .description("one record in full")
    .argument("<seq>", "its number")
    .action(async (seq: string) => {
      if (!/^\d+$/.test(seq)) throw usage(`${seq} is not a seq`, "`portreeve events list` shows them");
      const record = await cli.client.call<RecordDocument>({ path: `/events/${seq}` });
      await cli.show(record, () => {
        const { data, ...envelope } = record;
        const fields = Object.entries(envelope).map(([name, value]) => [name, String(value ?? "none")] as const);
        return textFields([...fields, ["data", JSON.stringify(data, null, 2).split("\n")]], cli.paint);
      });
    });
}

async function tail(cli: Cli, filters: Filters): Promise<void> {
  const pieces = cli.client.stream({ path: "/events/stream", query: { ...filters } });
  const whole = cli.machine !== null;
  let last = filters.after ?? null;
  for await (const data of eventData(pieces)) {
    const record = JSON.parse(data) as RecordDocument;
    last = String(record.seq);
    await cli.write(whole ? `${data}\n` : recordLine(record, cli.paint));
  }
  const next = `\`portreeve events tail${last === null ? "" : ` --after ${last}`}\` goes on when it is back`;
  throw new Failure(EXIT.unreachable, "the daemon ended the stream", next);
}

type Check = LogCheck & { readonly witnessAhead?: number | null; readonly next?: string };

function offlineCheck({ ok, head, after, records, witnessAhead, fault }: LogVerdict, dataDir: string): Check {
  const found = { ok, after, records, head: head ?? { seq: records, hash: "" }, witnessAhead };
  if (fault === undefined) return { ...found, faults: [] };
  const { remedy, ...rest } = fault;
  return { ...found, faults: [rest], next: mendingStep(remedy, dataDir) };
}

function checkText(check: Check, cli: Cli): string {
  const { after, records, head, faults, witnessAhead = null, next } = check;
  const ahead =
    witnessAhead === null
      ? ""
      : `The head witness knows of record ${witnessAhead}: this is a copy of a running daemon's directory, or the log lost its end.\n`;
  const gone =
    after === 0 ? "" : `Records up to ${after} are no longer there, neither in the log nor in the archive.\n`;
  if (check.ok) {
    const count = records - after;
    return `${count} records, each good and in its place; the head is ${head.seq} ${head.hash}\n${gone}${ahead}`;
  }
  const lines = faults.map(
    ({ seq, code, message }) => `${cli.paint("red", code)} ${seq === null ? "" : `at record ${seq}: `}${message}\n`,
  );
  return `${records - after} records are good, then:\n${lines.join("")}${gone}${ahead}${next === undefined ? "" : `Next: ${next}.\n`}`;
}
