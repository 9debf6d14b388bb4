import type { Command } from "commander";
import type { DeviceDocument } from "../../api/schemas/device.ts";
import type { SubnetDocument } from "../../api/schemas/subnet.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { examples, noun } from "../program-parts.ts";
import { foreseeRemoval } from "../removal.ts";
import { textTable } from "../text-table.ts";

const SUBNET = "name or id of the subnet";

interface SubnetOptions extends MutationOptions {
  readonly name?: string;
  readonly wan?: string;
  readonly ipv6?: string;
  readonly dns?: string;
  readonly zone?: string;
}

export function addSubnetVerbs(program: Command, cli: Cli): void {
  const subnet = noun(program, "subnet", "private networks over WireGuard");
  examples(subnet, [
    "portreeve subnet add home 10.59.7.0/24",
    "portreeve subnet list",
    "portreeve subnet edit home --dns 9.9.9.9,149.112.112.112",
  ]);
  examples(subnet.command("list"), ["portreeve subnet list"])
    .description("subnets with their devices and the address they leave by")
    .action(async () => await list(cli));
  const add = examples(subnet.command("add"), [
    "portreeve subnet add home 10.59.7.0/24",
    "portreeve subnet add office --ipv6 fd12:3456:789a::/64",
  ])
    .description("add a subnet; the gateway has its first address")
    .argument("<name>", "what to call it")
    .argument("[prefix]", "as in 10.59.7.0/24; without it one that nothing uses is chosen")
    .option("--wan <wan>", "WAN interface, or one of its addresses, that its devices leave by")
    .option("--ipv6 <prefix>", "as in fd12:3456:789a::/64")
    .option("--dns <servers>", "`system`, upstreams with commas between, or `device:NAME`")
    .option("--zone <name>", "its devices' names are below it; without it one is made of its name");
  addMutationOptions(add).action(async (name: string, prefix: string | undefined, options: SubnetOptions) => {
    const body = { name, prefix: prefix ?? null, ...(await bodyOf(cli, options)) };
    await change(cli, { method: "POST", path: "/subnets", body }, options, "is ready for devices");
  });
  const edit = examples(subnet.command("edit"), [
    "portreeve subnet edit home --dns 9.9.9.9,149.112.112.112",
    "portreeve subnet edit office --name work --ipv6 none",
    "portreeve subnet edit home --zone home.example.org",
  ])
    .description("change a subnet; what is forwarded to its devices follows its WAN")
    .argument("<subnet>", SUBNET)
    .option("--name <name>", "another name")
    .option("--wan <wan>", "another WAN, or `default`")
    .option("--ipv6 <prefix>", "another prefix, or `none`")
    .option("--dns <servers>", "`system`, upstreams with commas between, or `device:NAME`")
    .option("--zone <name>", "another zone for its devices' names, or `default`");
  addMutationOptions(edit).action(async (name: string, options: SubnetOptions) => {
    const body = { ...(options.name !== undefined && { name: options.name }), ...(await bodyOf(cli, options)) };
    if (Object.keys(body).length === 0)
      throw usage("nothing to change", "name at least one of --name --wan --ipv6 --dns --zone");
    await change(cli, { method: "PATCH", path: `/subnets/${encodeURIComponent(name)}`, body }, options, "is changed");
  });
  const remove = examples(subnet.command("remove"), ["portreeve subnet remove work"])
    .description("remove a subnet with its devices and all that leads to them")
    .argument("<subnet>", SUBNET);
  addMutationOptions(remove).action(
    async (name: string, options: MutationOptions) => await removeOne(cli, name, options),
  );
}

async function list(cli: Cli): Promise<void> {
  const subnets = await cli.client.call<SubnetDocument[]>({ path: "/subnets" });
  await cli.show(subnets, () => {
    if (subnets.length === 0) return "There is no subnet. `portreeve subnet add home` makes one.\n";
    const rows = subnets.map((each) => [
      each.name,
      each.prefix,
      each.gateway,
      `${each.devices}`,
      `${each.externalAddress ?? "none"}${each.wan === null ? "" : ` (${each.wan})`}`,
      each.zone,
      each.ipv6Prefix ?? "",
    ]);
    return textTable(["SUBNET", "PREFIX", "GATEWAY", "DEVICES", "LEAVES BY", "ZONE", "IPV6"], rows, cli.paint);
  });
}

async function removeOne(cli: Cli, name: string, options: MutationOptions): Promise<void> {
  const path = `/subnets/${encodeURIComponent(name)}`;
  const subnet = await cli.client.call<SubnetDocument>({ path });
  const call = { method: "DELETE", path } as const;
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const { question, along } = await foreseeRemoval(cli, call, subnet.id, `${subnet.name} (${subnet.prefix})`);
  await cli.confirm(question);
  await change(cli, call, options, `is removed${along}`, subnet);
}

async function bodyOf(cli: Cli, options: SubnetOptions): Promise<Record<string, unknown>> {
  const body: Record<string, unknown> = {};
  if (options.wan !== undefined) body["wan"] = options.wan === "default" ? null : options.wan;
  if (options.ipv6 !== undefined) body["ipv6Prefix"] = options.ipv6 === "none" ? null : options.ipv6;
  if (options.zone !== undefined) body["zone"] = options.zone === "default" ? null : options.zone;
  if (options.dns !== undefined) body["dns"] = await dnsOf(cli, options.dns);
  return body;
}

async function dnsOf(cli: Cli, text: string): Promise<Record<string, unknown>> {
  if (text === "system") return { mode: "system" };
  if (text.startsWith("device:")) {
    const name = text.slice("device:".length);
    const device = await cli.client.call<DeviceDocument>({ path: `/devices/${encodeURIComponent(name)}` });
    return { mode: "device", device: device.id };
  }
  const servers = text.split(",").map((server) => server.trim());
  if (servers.includes(""))
    throw usage("--dns names no server", "as in --dns 9.9.9.9,149.112.112.112, or --dns system");
  return { mode: "custom", servers };
}

async function change(
  cli: Cli,
  call: Call,
  options: MutationOptions,
  verb: string,
  was?: SubnetDocument,
): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  const subnet = was ?? result?.subnet;
  const already = result?.changed === false ? " (it was so already)" : "";
  await cli.show(subnet ?? null, () => `${subnet?.name} ${subnet?.prefix} ${verb}${already}\n`);
}
