import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { examples } from "../program-parts.ts";
import { load, withConfig } from "./daemon-verbs.ts";

interface BackupOptions {
  readonly config?: string;
  readonly dataDir?: string;
  readonly passphraseFile?: string;
}

const PASSPHRASE = "a file of mode 600 whose first line is the passphrase that the secrets are sealed with";

/** Offline and while the daemon runs: nothing is asked of it. */
export function addBackupVerbs(program: Command, cli: Cli): void {
  const backup = withConfig(
    program
      .command("backup")
      .description("put the data directory into one file, while the daemon runs or not")
      .argument("<file>", "a new file; it holds no secrets without --passphrase-file"),
  )
    .option("--data-dir <dir>", "of this directory; without it the configuration says")
    .option("--passphrase-file <file>", PASSPHRASE);
  examples(backup, ["portreeve backup gateway.backup --passphrase-file /etc/portreeve/backup.pass"]);
  backup.action(async (file: string, options: BackupOptions) => {
    const report = await cli.outside.programs.backup(await requestOf(cli, file, options));
    await cli.show(report, () => {
      const without =
        "no secrets: WireGuard and the accounts need them after a restore, and --passphrase-file takes them along";
      const secrets = options.passphraseFile === undefined ? without : `${report.secrets} secrets`;
      return `${file} holds every record up to ${report.head}, and ${secrets}.\n`;
    });
  });
  const restore = withConfig(
    program
      .command("restore")
      .description("make the data directory of a backup")
      .argument("<file>", "what `portreeve backup` wrote"),
  )
    .requiredOption("--data-dir <dir>", "a directory that is empty or not there")
    .option("--passphrase-file <file>", PASSPHRASE);
  examples(restore, ["portreeve restore gateway.backup --data-dir /var/lib/portreeve"]);
  restore.action(async (file: string, options: BackupOptions) => {
    const report = await cli.outside.programs.restore(await requestOf(cli, file, options));
    await cli.show(report, () => {
      const { dataDir, head, secrets, left } = report;
      const kept = left === 0 ? `${secrets} secrets` : `none of its ${left} secrets, for want of --passphrase-file`;
      const next = `What was promised after it is not in it: \`portreeve events accept --data-dir ${dataDir}\`, then start.`;
      return `${dataDir} holds every record up to ${head}, and ${kept}.\n${next}\n`;
    });
  });
}

async function requestOf(cli: Cli, file: string, { config, dataDir, passphraseFile }: BackupOptions) {
  const { config: effective } = await load(cli, config);
  return {
    file,
    dataDir: dataDir ?? effective.dataDir,
    masterKeyFile: effective.masterKeyFile,
    passphraseFile: passphraseFile ?? null,
  };
}
