import type { Command } from "commander";
import type { Acceptance } from "../../events/leveldb/restored.ts";
import type { SalvageReport } from "../../events/leveldb/salvage.ts";
import type { Cli } from "../cli.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { examples } from "../program-parts.ts";

interface Where {
  readonly dataDir: string;
}

const offline = (command: Command): Command =>
  command.requiredOption("--data-dir <dir>", "the directory of a daemon that does not run");

/** What brings a damaged or restored log back, without a daemon. */
export function addEventRecovery(events: Command, cli: Cli): void {
  const salvage = offline(
    events.command("salvage").description("make a whole log of what can be read of a damaged one, beside it"),
  ).action(async ({ dataDir }: Where) => {
    await carryOut(cli, dataDir, null);
  });
  examples(salvage, ["portreeve events salvage --data-dir /var/lib/portreeve"]);
  const accept = offline(
    events
      .command("accept")
      .description("go on from where a restored copy of the log ends; clients are made to ask again"),
  ).action(async ({ dataDir }: Where) => {
    const { programs } = cli.outside;
    const { fault, witnessAhead, records } = await programs.verifyLog(dataDir);
    if (fault !== undefined && fault.remedy !== "accept") {
      const next = `\`portreeve events verify --data-dir ${dataDir}\` says more`;
      throw new Failure(EXIT.problemFound, `the log is damaged, not only old: ${fault.message}`, next);
    }
    const ahead = witnessAhead === null ? "" : `, though record ${witnessAhead} was acknowledged`;
    cli.say(fault === undefined ? `The log ends at record ${records}${ahead}.` : `${fault.message}.`);
    await cli.confirm(`go on from where the log in ${dataDir} ends and give up what came after it`);
    const acceptance = await programs.acceptLog(dataDir);
    await cli.show(acceptance, () => acceptedText(acceptance));
  });
  examples(accept, ["portreeve events accept --data-dir /var/lib/portreeve"]);
}

export function addSnapshotRestore(snapshot: Command, cli: Cli): void {
  const restore = offline(
    snapshot
      .command("restore")
      .description("make a log that begins with a snapshot and gives up what came after it, beside the old one")
      .argument("[seq]", "the newest if left out"),
  ).action(async (seq: string | undefined, { dataDir }: Where) => {
    if (seq !== undefined && !/^\d+$/.test(seq))
      throw usage(`${seq} is not a seq`, "`portreeve snapshot list` shows them");
    await carryOut(cli, dataDir, seq === undefined ? "newest" : Number(seq));
  });
  examples(restore, ["portreeve snapshot restore 1842 --data-dir /var/lib/portreeve"]);
}

async function carryOut(cli: Cli, dataDir: string, restore: number | "newest" | null): Promise<void> {
  const { carryOut: build, ...report } = await cli.outside.programs.planSalvage(dataDir, restore);
  cli.say(planText(report));
  await cli.confirm(`make ${report.target}`);
  await build();
  await cli.show(report, () => doneText(report));
}

function planText({ dataDir, target, after, head, lost, leftBehind }: SalvageReport): string {
  const kept = head === after ? "no record" : `records ${after + 1} to ${head}`;
  const begins = after === 0 ? "" : `, after the saved state of record ${after}`;
  const lines = [`${target} would hold ${kept}${begins}.`];
  if (leftBehind !== null) {
    const { first, last } = leftBehind;
    lines.push(`Records ${first} to ${last} stay in ${dataDir}: what they did is in that state.`);
  }
  lines.push(
    lost === null
      ? "No acknowledged record is lost."
      : lost.last === null
        ? `Lost is whatever came after record ${lost.first - 1}: nothing there knows how much that is. Clients are made to ask again.`
        : `Lost are records ${lost.first} to ${lost.last}, which were acknowledged. Clients are made to ask again.`,
  );
  return lines.join("\n");
}

function doneText({ dataDir, target }: SalvageReport): string {
  return [
    `${target} is a whole data directory; ${dataDir} is as it was. To go on with the new one:`,
    `  mv ${dataDir} ${dataDir}.damaged`,
    `  mv ${target} ${dataDir}`,
    "and start the daemon. Keep the damaged one until all is well.\n",
  ].join("\n");
}

function acceptedText({ head, known, reset }: Acceptance): string {
  const lost = known === null ? "Nothing knows of a record after it." : `Records ${head + 1} to ${known} are given up.`;
  return `The log goes on after record ${head}. ${lost} Record ${reset} makes clients ask again; start the daemon.\n`;
}
