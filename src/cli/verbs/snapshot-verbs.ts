import type { Command } from "commander";
import type { SnapshotCheck, SnapshotDocument } from "../../api/schemas/history.ts";
import type { Cli } from "../cli.ts";
import { whenText } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { examples, noun } from "../program-parts.ts";
import { textFields, textTable } from "../text-table.ts";
import { addSnapshotRestore } from "./recovery-verbs.ts";

export function addSnapshotVerbs(program: Command, cli: Cli): void {
  const snapshot = noun(program, "snapshot", "saved states that make a start quick");
  examples(snapshot, ["portreeve snapshot create", "portreeve snapshot list"]);
  examples(snapshot.command("list"), ["portreeve snapshot list"])
    .description("snapshots, newest first")
    .action(async () => {
      const all = await cli.client.call<SnapshotDocument[]>({ path: "/snapshots" });
      await cli.show(all, () => {
        if (all.length === 0)
          return "There is no snapshot yet. `portreeve snapshot create` makes one; so does a clean stop.\n";
        const rows = all.map((each) => [`${each.seq}`, whenText(each.at, cli.now), each.chainHash.slice(0, 16)]);
        return textTable(["SEQ", "OF", "CHAIN"], rows, cli.paint);
      });
    });
  examples(snapshot.command("create"), ["portreeve snapshot create"])
    .description("save the state as it is now")
    .action(async () => {
      const made = await cli.client.call<SnapshotDocument>({ method: "POST", path: "/snapshots" });
      await cli.show(made, () => `The state at record ${made.seq} is saved.\n`);
    });
  examples(snapshot.command("show"), ["portreeve snapshot show"])
    .description("one snapshot; with --json the state it holds, too")
    .argument("[seq]", "the newest if left out")
    .action(async (seq?: string) => {
      const path = `/snapshots/${await seqOf(cli, seq)}`;
      const one = await cli.client.call<SnapshotDocument & { state: Record<string, unknown> }>({ path });
      const { seq: number, at, chainHash, reducerVersion } = one;
      const fields = [
        ["seq", `${number}`],
        ["of", at],
        ["chain", chainHash],
        ["fold", `version ${reducerVersion}`],
        ["ports", `${Object.keys(one.state["mappings"] ?? {}).length}`],
      ] as const;
      await cli.show(one, () => textFields(fields, cli.paint));
    });
  examples(snapshot.command("verify"), ["portreeve snapshot verify"])
    .description("fold the log from its start and compare; exits 8 if the snapshot is something else")
    .argument("[seq]", "the newest if left out")
    .action(async (seq?: string) => {
      const check = await cli.client.call<SnapshotCheck>({ path: `/snapshots/${await seqOf(cli, seq)}/verify` });
      await cli.show(check, () => `${check.seq}: ${check.message}\n`);
      if (!check.ok) cli.exitCode = EXIT.problemFound;
    });
  addSnapshotRestore(snapshot, cli);
}

async function seqOf(cli: Cli, text: string | undefined): Promise<number> {
  if (text !== undefined && !/^\d+$/.test(text))
    throw usage(`${text} is not a seq`, "`portreeve snapshot list` shows them");
  if (text !== undefined) return Number(text);
  const [newest] = await cli.client.call<SnapshotDocument[]>({ path: "/snapshots" });
  if (newest === undefined)
    throw new Failure(EXIT.notFound, "there is no snapshot yet", "`portreeve snapshot create` makes one");
  return newest.seq;
}
