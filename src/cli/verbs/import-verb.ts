import { Argument, type Command } from "commander";
import type { Cli } from "../cli.ts";
import { addMutationOptions, type MutationOptions, showPlan } from "../mutation.ts";
import { examples } from "../program-parts.ts";
import { IMPORT_SOURCES, type ImportSource } from "../programs.ts";
import { carryOut } from "./declaration-verbs.ts";

/** The plan first: nothing is changed without `--apply`. */
export function addImportVerb(program: Command, cli: Cli): void {
  const verb = program
    .command("import")
    .description("show what another program's set-up would be here, keys and all; --apply makes it so")
    .addArgument(new Argument("<program>", "whose set-up it is").choices(IMPORT_SOURCES))
    .argument("<path>", "its file; of wg-quick the server's file, or the folder with those of its clients")
    .option("--apply", "make it so");
  examples(verb, [
    "portreeve import starttunnel dump.json",
    "portreeve import wg-quick /etc/wireguard --apply",
    "portreeve import miniupnpd /var/lib/misc/upnp.leases",
  ]);
  addMutationOptions(verb).action(
    async (source: ImportSource, path: string, options: MutationOptions & { apply?: boolean }) => {
      const { body, notes } = await cli.outside.programs.readImport(source, path);
      for (const note of notes) cli.say(`note: ${note}`);
      const call = { method: "POST", path: "/declaration", body } as const;
      if (options.apply === true && options.dryRun !== true)
        return await carryOut(cli, call, options, `import ${path}`);
      await showPlan(cli, [call], options);
    },
  );
}
