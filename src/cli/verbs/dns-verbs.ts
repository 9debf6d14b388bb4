import { type Command, Option } from "commander";
import type { ExplanationDocument, QueriesDocument, RecordRow } from "../../api/schemas/dns.ts";
import type { SubnetDocument } from "../../api/schemas/subnet.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { whenText } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { examples, noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

const RECORD = "id, or the name of the record";
const TYPE = "its type, where there are several";
const VALUE = "its value, where there are several of the type";

interface AddOptions extends MutationOptions {
  readonly ttl?: string;
  readonly view?: string;
}

interface EditOptions extends MutationOptions {
  readonly ttl?: string;
  readonly to?: string;
}

export function addDnsVerbs(program: Command, cli: Cli): void {
  const dns = noun(program, "dns", "names that the resolvers of the gateway know by themselves");
  examples(dns, [
    "portreeve dns list",
    "portreeve dns add nas.home.arpa A 10.59.0.2 --ttl 300",
    "portreeve dns remove nas.home.arpa",
  ]);
  examples(dns.command("list"), ["portreeve dns list", "portreeve dns list --device nas"])
    .description("operators' records, devices' records, and what each device is called by itself")
    .option("--name <name>", "only at this name")
    .option("--device <device>", "only of this device")
    .action(async (query: { readonly name?: string; readonly device?: string }) => await list(cli, query));
  const add = examples(dns.command("add"), [
    "portreeve dns add nas.home.arpa A 10.59.0.2 --ttl 300",
    "portreeve dns add printer.home.arpa A 10.59.0.9 --view home",
  ])
    .description("add a record; a text without quotes is one string")
    .argument("<name>", "as in nas.home.arpa")
    .argument("<type>", "A, AAAA, CNAME, TXT, SRV, PTR, CAA, HTTPS, SVCB, MX…")
    .argument("<value...>", "as in a zone file")
    .addOption(new Option("--ttl <seconds>", "how long it may be remembered; 300, or as its neighbours have it"))
    .option("--view <views>", "who sees the name: subnets, or lan:INTERFACE, with commas between");
  addMutationOptions(add).action(async (name: string, type: string, words: string[], options: AddOptions) => {
    const views = options.view === undefined ? null : await viewsOf(cli, options.view);
    const body = { name, type, value: words.join(" "), ttl: secondsOf(options.ttl), views };
    await change(cli, { method: "POST", path: "/dns/records", body }, options, "is there");
  });
  changeVerbs(dns, cli);
  examples(dns.command("queries"), ["portreeve dns queries"])
    .description("who asked what, newest first; only while `dns.queryLog` of the configuration is on")
    .action(async () => await queries(cli));
  examples(dns.command("ask"), [
    "portreeve dns ask nas.home.arpa",
    "portreeve dns ask www.example.org AAAA --view home",
  ])
    .description("what a client would be answered, and why: a name of ours, from memory, forwarded to whom, blocked")
    .argument("<name>", "as in nas.home.arpa")
    .argument("[type]", "A unless said", "A")
    .option("--view <view>", "whose resolver: a subnet, or lan:INTERFACE")
    .action(
      async (name: string, type: string, query: { readonly view?: string }) => await ask(cli, { name, type, ...query }),
    );
}

async function queries(cli: Cli): Promise<void> {
  const said = await cli.client.call<QueriesDocument>({ path: "/dns/queries" });
  await cli.show(said, () => {
    if (!said.logged) {
      return "Queries are not kept: `dns: { queryLog: true }` in the configuration keeps the last, in memory.\n";
    }
    const rows = said.queries.map((each) => {
      return [each.at, each.from, each.transport, each.name, each.type, each.rcode, `${each.durationMs} ms`];
    });
    return textTable(["AT", "FROM", "BY", "NAME", "TYPE", "ANSWER", "TOOK"], rows, cli.paint);
  });
}

async function ask(
  cli: Cli,
  query: { readonly name: string; readonly type: string; readonly view?: string },
): Promise<void> {
  const said = await cli.client.call<ExplanationDocument>({ path: "/dns/ask", query });
  await cli.show(said, () => {
    const rows = said.answers.map((each) => [each.name, each.type, `${each.ttl}`, each.value]);
    const table = rows.length === 0 ? "" : textTable(["NAME", "TYPE", "TTL", "VALUE"], rows, cli.paint);
    return `${said.rcode}: ${said.why} (${said.durationMs} ms)\n${table}${query.view === undefined ? otherViewsText(said) : ""}`;
  });
}

/** Names and upstreams are a view's own, so it matters which one was taken. */
function otherViewsText({ viewName, otherViews }: ExplanationDocument): string {
  const [other] = otherViews;
  if (other === undefined) return "";
  return `This is what ${viewName} is answered; \`--view ${other}\` asks as another network (${otherViews.join(", ")}).\n`;
}

function changeVerbs(dns: Command, cli: Cli): void {
  const edit = examples(dns.command("edit"), [
    "portreeve dns edit nas.home.arpa --ttl 60",
    "portreeve dns edit nas.home.arpa A --to 10.59.0.3",
  ])
    .description("change a record that an operator made; all of its name and type have one TTL")
    .argument("<record>", RECORD)
    .argument("[type]", TYPE)
    .argument("[value]", VALUE)
    .option("--ttl <seconds>", "how long it may be remembered")
    .option("--to <value>", "another value");
  addMutationOptions(edit).action(
    async (text: string, type: string | undefined, value: string | undefined, options: EditOptions) => {
      const ttl = secondsOf(options.ttl);
      const body = { ...(ttl !== null && { ttl }), ...(options.to !== undefined && { value: options.to }) };
      if (Object.keys(body).length === 0) throw usage("nothing to change", "name at least one of --ttl --to");
      const { id } = await chosen(cli, text, type, value);
      await change(cli, { method: "PATCH", path: `/dns/records/${id}`, body }, options, "is changed");
    },
  );
  const remove = examples(dns.command("remove"), [
    "portreeve dns remove nas.home.arpa",
    "portreeve dns remove printer.home.arpa A",
  ])
    .description("remove a record; a device may put its own there again, unless it may not any more")
    .argument("<record>", RECORD)
    .argument("[type]", TYPE)
    .argument("[value]", VALUE);
  addMutationOptions(remove).action(
    async (text: string, type: string | undefined, value: string | undefined, options: MutationOptions) => {
      const record = await chosen(cli, text, type, value);
      if (options.dryRun !== true) await cli.confirm(`remove ${recordText(record)}`);
      await change(cli, { method: "DELETE", path: `/dns/records/${record.id}` }, options, "is removed", record);
    },
  );
}

async function list(cli: Cli, query: { readonly name?: string; readonly device?: string }): Promise<void> {
  const records = await cli.client.call<RecordRow[]>({ path: "/dns/records", query: { ...query } });
  await cli.show(records, () => {
    if (records.length === 0)
      return "There is no such record. `portreeve dns add nas.home.arpa A 10.59.0.2` makes one.\n";
    const rows = records.map((each) => [
      each.outside ? `${each.name} (hides the internet's)` : each.name,
      each.type,
      each.value,
      `${each.ttl}`,
      each.device?.name ?? "operator",
      each.source === "device" ? "by itself" : each.source === "update" ? "update" : "by hand",
      each.expiresAt === null ? "" : whenText(each.expiresAt, cli.now),
      each.source === "device" ? "" : each.id,
    ]);
    return textTable(["NAME", "TYPE", "VALUE", "TTL", "WHOSE", "PUT THERE", "ENDS", "ID"], rows, cli.paint);
  });
}

const recordText = ({ name, type, value }: RecordRow): string => `${name} ${type} ${value}`;

/** By its id, or by as much of name, type and value as only one has. */
async function chosen(cli: Cli, text: string, type?: string, value?: string): Promise<RecordRow> {
  if (/^r[0-9a-f]{12}$/.test(text)) return await cli.client.call<RecordRow>({ path: `/dns/records/${text}` });
  const all = await cli.client.call<RecordRow[]>({ path: "/dns/records", query: { name: text } });
  const fits = all.filter(
    (each) =>
      (type === undefined || each.type === type.toUpperCase()) &&
      (value === undefined || each.value === value || each.value === `"${value}"`),
  );
  const put = fits.filter(({ source }) => source !== "device");
  const [only, ...others] = put;
  if (only === undefined) {
    const own = fits[0]?.device;
    if (own != null)
      throw usage(
        `${text} is what ${own.name} is called by itself`,
        `\`portreeve device edit ${own.name} --name OTHER\` renames it`,
      );
    throw new Failure(
      EXIT.notFound,
      `there is no such record at ${text}`,
      "`portreeve dns list` shows those there are",
    );
  }
  if (others.length === 0) return only;
  const choice = put.map((each) => `${each.id}  ${recordText(each)}`).join("\n");
  throw usage(`${put.length} records fit; name type and value, or the id`, choice);
}

function secondsOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,6}$/.test(text)) throw usage(`${text} is no TTL`, "say seconds, as in --ttl 300");
  return Number(text);
}

/** Names of subnets become their ids. */
async function viewsOf(cli: Cli, text: string): Promise<string[]> {
  const views: string[] = [];
  for (const each of text.split(",").map((part) => part.trim())) {
    if (each.startsWith("lan:")) views.push(each);
    else views.push((await cli.client.call<SubnetDocument>({ path: `/subnets/${encodeURIComponent(each)}` })).id);
  }
  return views;
}

async function change(cli: Cli, call: Call, options: MutationOptions, verb: string, was?: RecordRow): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  const record = was ?? result?.record ?? null;
  const already = result?.changed === false ? " (it was so already)" : "";
  await cli.show(record, () => `${record === null ? "" : recordText(record)} ${verb}${already}\n`);
}
