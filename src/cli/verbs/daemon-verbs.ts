import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { LoadedConfig } from "../../config/load.ts";
import type { Cli } from "../cli.ts";
import { EXIT, Failure } from "../exit.ts";
import { examples, noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

interface ConfigOption {
  readonly config?: string;
}

export const withConfig = (command: Command): Command =>
  command.option("--config <file>", "the configuration; /etc/portreeve/portreeve.yaml if that is there");

export function addDaemonVerbs(program: Command, cli: Cli): void {
  const run = withConfig(
    program.command("run").description("run the controller in the foreground, log on stderr"),
  ).option("--take-over", "take over what another instance left in this network namespace");
  examples(run, ["portreeve run --config /etc/portreeve/portreeve.yaml"]);
  run.action(async ({ config, takeOver = false }: ConfigOption & { takeOver?: boolean }) => {
    const loaded = await load(cli, config);
    cli.exitCode = await cli.outside.programs.run({ loaded, takeOver });
  });
  const teardown = withConfig(
    program.command("teardown").description("remove from the kernel all that this instance made"),
  );
  examples(teardown, ["portreeve teardown --data-dir /var/lib/portreeve --yes"])
    .option("--data-dir <dir>", "whose instance; without it the configuration says")
    .action(async ({ config, dataDir }: ConfigOption & { dataDir?: string }) => {
      const dir = dataDir ?? (await load(cli, config)).config.dataDir;
      await cli.confirm(`remove every forward and guard of the instance in ${dir}`);
      await cli.outside.programs.teardown(dir);
      await cli.show(
        { dataDir: dir, removed: true },
        () =>
          `All that the instance in ${dir} made in the kernel is gone. What \`portreeve doctor --fix\` added to other ` +
          "firewalls stays until `portreeve doctor --unfix`.\n",
      );
    });
  addConfigVerbs(program, cli);
}

/** Errors of the configuration go to stderr one a line, as compilers do, and exit 2. */
export async function load(cli: Cli, file: string | undefined): Promise<LoadedConfig> {
  const { ConfigError, DEFAULT_CONFIG_FILE, loadConfig } = await import("../../config/load.ts");
  const chosen =
    file ?? cli.outside.env["PORTREEVE_CONFIG"] ?? (existsSync(DEFAULT_CONFIG_FILE) ? DEFAULT_CONFIG_FILE : null);
  try {
    return loadConfig(chosen, cli.outside.env);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const next = "`portreeve config schema` lists every key";
    throw new Failure(EXIT.usage, cause.message, next, { cause });
  }
}

function addConfigVerbs(program: Command, cli: Cli): void {
  const config = noun(program, "config", "the configuration file");
  examples(config, ["portreeve config check --config portreeve.yaml", "portreeve config show"]);
  config.addHelpText(
    "after",
    "\nEvery key can be set by the environment as well: PORTREEVE_SECTION__KEY, two underscores for each level and one\nbefore each capital letter: portControl.lifetime.pcpMin is PORTREEVE_PORT_CONTROL__LIFETIME__PCP_MIN. Values are YAML.",
  );
  const check = withConfig(
    config.command("check").description("say what is wrong, with line and suggestion; exits 2 if anything is"),
  );
  examples(check, ["portreeve config check --config portreeve.yaml"]).action(async (options: ConfigOption) => {
    const { file, notes } = await load(cli, options.config);
    for (const note of notes) cli.say(`note: ${note}`);
    await cli.show({ ok: true, file, notes }, () => `${file ?? "The built-in configuration"} is fine.\n`);
  });
  examples(config.command("schema"), ["portreeve config schema"])
    .description("JSON Schema of the file, for editors")
    .action(async () => {
      const { configJsonSchema } = await import("../../config/schema.ts");
      const schema = configJsonSchema();
      await cli.show(schema, () => `${JSON.stringify(schema, null, 2)}\n`);
    });
  const show = withConfig(
    config.command("show").description("what is in effect, with defaults and the environment's overrides"),
  );
  examples(show, ["portreeve config show --config portreeve.yaml"]).action(async (options: ConfigOption) => {
    const { config: effective, overrides } = await load(cli, options.config);
    const rows = overrides.map(({ variable, path }) => [path.join("."), variable]);
    if (rows.length > 0) cli.say(textTable(["KEY", "SET BY"], rows, cli.paint));
    const { stringify } = await import("yaml");
    await cli.show(effective, () => stringify(effective, { flowCollectionPadding: true }));
  });
}
