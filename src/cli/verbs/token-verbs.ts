import { type Command, Option } from "commander";
import type { TokenCreatedDocument, TokenDocument } from "../../api/schemas/account.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { parseDuration, whenText } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { examples, noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

interface AddOptions extends MutationOptions {
  readonly scope: string;
  readonly for?: string;
  readonly endless?: boolean;
}

/** A token that is forgotten ends by itself. */
const LIFETIME_DEFAULT = "90d";

export function addTokenVerbs(program: Command, cli: Cli): void {
  const token = noun(program, "token", "what programs use to call the API over TCP");
  examples(token, [
    "portreeve token add grafana --scope read",
    "portreeve token list",
    "portreeve token remove grafana",
  ]);
  addMutationOptions(
    examples(token.command("add"), [
      "portreeve token add grafana --scope read",
      "portreeve token add deploy --scope operate --for 7d",
    ])
      .description("make a token and print it, once")
      .argument("<name>", "what it is for")
      .addOption(
        new Option("--scope <scope>", "what it may do; each includes those before it")
          .choices(["read", "operate", "admin"])
          .default("read"),
      )
      .option("--for <duration>", `when it ends; ${LIFETIME_DEFAULT} if left out`)
      .option("--endless", "it does not end"),
  ).action(async (name: string, options: AddOptions) => await add(cli, name, options));
  examples(token.command("list"), ["portreeve token list"])
    .description("tokens with what they may do and when they were used")
    .action(async () => {
      const tokens = await cli.client.call<TokenDocument[]>({ path: "/tokens" });
      await cli.show(tokens, () => {
        if (tokens.length === 0) return "There is no token.\n";
        const rows = tokens.map((each) => [
          each.id,
          each.name,
          each.scopes.join(", "),
          whenText(each.expiresAt, cli.now),
          each.lastUsedAt === null ? "not since the start" : whenText(each.lastUsedAt, cli.now),
        ]);
        return textTable(["TOKEN", "NAME", "MAY", "ENDS", "LAST USED"], rows, cli.paint);
      });
    });
  addMutationOptions(
    examples(token.command("remove"), ["portreeve token remove grafana"])
      .description("revoke a token, at once")
      .argument("<token>", "its name or id"),
  ).action(async (which: string, options: MutationOptions) => {
    const { id, name } = await find(cli, which);
    const call: Call = { method: "DELETE", path: `/tokens/${id}` };
    if (options.dryRun === true) return await showPlan(cli, [call], options);
    await cli.confirm(`revoke the token ${name}`);
    const [result] = await mutate(cli, [call], options);
    await cli.show(result, () => `${name} is revoked.\n`);
  });
}

async function add(cli: Cli, name: string, options: AddOptions): Promise<void> {
  const { scope, for: given, endless = false, ifMatch } = options;
  if (endless && given !== undefined) throw usage("a token ends or is endless; give --for or --endless, not both");
  const lifetime = endless ? null : parseDuration(given ?? LIFETIME_DEFAULT);
  const call: Call = { method: "POST", path: "/tokens", body: { name, scopes: [scope], lifetime } };
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const headers: Record<string, string> = ifMatch === undefined ? {} : { "if-match": ifMatch };
  const made = await cli.client.call<TokenCreatedDocument>({ ...call, headers });
  await cli.show(made, () => `${made.secret}\n`);
  if (cli.machine !== null) return;
  const end = lifetime === null ? "It does not end" : `It ends ${whenText(made.token.expiresAt, cli.now)}`;
  cli.say(`${end}, and is not shown again. Send it as \`Authorization: Bearer TOKEN\`.`);
}

async function find(cli: Cli, which: string): Promise<TokenDocument> {
  const tokens = await cli.client.call<TokenDocument[]>({ path: "/tokens" });
  const wanted = which.toLowerCase();
  const found = tokens.find(({ id, name }) => id === which || name.toLowerCase() === wanted);
  if (found !== undefined) return found;
  throw new Failure(EXIT.notFound, `there is no token ${which}`, "`portreeve token list` shows those there are");
}
