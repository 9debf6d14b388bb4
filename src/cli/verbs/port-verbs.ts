import type { Command } from "commander";
import type { Block, Port, PortChange } from "../../api/schemas/port.ts";
import type { Cli } from "../cli.ts";
import { addressOf } from "../device-choice.ts";
import { parseDuration } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { choosePorts, namesOne } from "../port-choice.ts";
import { parseDestination, parseForward, parseSelector, parseTarget, SOURCE_HELP, sourceBody } from "../port-text.ts";
import { externalText, portDetails, portTable } from "../port-view.ts";
import { examples, noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

const PORT = "id, or [ADDRESS:]PORT[/tcp|/udp]; no protocol means both";

export function addPortVerbs(program: Command, cli: Cli): void {
  const port = noun(program, "port", "forwards, made by hand or asked for by devices");
  examples(port, [
    "portreeve port add 25565/tcp nas",
    "portreeve port add 8443:443/tcp 192.168.7.2 --label web",
    "portreeve port add 49152-49251/udp 192.168.7.9 --for 2h",
    "portreeve port add 22022:22/tcp 192.168.7.2 --from 203.0.113.0/24",
    "portreeve port list",
    "portreeve port disable 8443/tcp",
  ]);
  addReadingVerbs(port, cli);
  addAddVerb(port, cli);
  addEditVerb(port, cli);
  addChoiceVerbs(port, cli);
  addUnblockVerb(port, cli);
}

function addReadingVerbs(port: Command, cli: Cli): void {
  examples(port.command("list"), ["portreeve port list --device 192.168.7.2", "portreeve port list --blocked"])
    .description("all ports, by number")
    .option("--device <host>", "only those to this device, by name or address")
    .option("--blocked", "what devices may not ask for, instead")
    .action(async ({ device, blocked }: { device?: string; blocked?: true }) => {
      if (blocked === true) return await showBlocks(cli);
      const query = { device: device === undefined ? null : await addressOf(cli.client, parseTarget(device)) };
      const ports = await cli.client.call<Port[]>({ path: "/ports", query });
      await cli.show(ports, () => portTable(ports, cli.now, cli.paint));
    });
  examples(port.command("show"), ["portreeve port show 8443/tcp"])
    .description("one port in full")
    .argument("<port>", PORT)
    .action(async (text: string) => {
      const ports = await choosePorts(cli.client, text);
      await cli.show(namesOne(text) ? ports[0] : ports, () => {
        return ports.map((each) => portDetails(each, cli.now, cli.paint)).join("\n");
      });
    });
}

async function showBlocks(cli: Cli): Promise<void> {
  const blocks = await cli.client.call<Block[]>({ path: "/blocks" });
  await cli.show(blocks, () => {
    if (blocks.length === 0)
      return "Nothing is blocked. `portreeve port block PORT` refuses a device further asking.\n";
    const rows = blocks.map((each) => [`${each.device}:${each.internalPort}/${each.protocol}`, each.since]);
    return textTable(["BLOCKED", "SINCE"], rows, cli.paint);
  });
}

function addAddVerb(port: Command, cli: Cli): void {
  const add = examples(port.command("add"), [
    "portreeve port add 8443:443/tcp 192.168.7.2 --label web",
    "portreeve port add 49152-49251/udp 192.168.7.9 --for 2h",
    "portreeve port add 5000 192.168.7.2 --disabled",
  ])
    .description("forward an external port to a host")
    .argument("<ports>", "EXTERNAL[-LAST][:INTERNAL][/tcp|/udp]; no protocol means both")
    .argument("<host>", "the device's name, or any host's IPv4 address")
    .option("--label <text>", "what it is for")
    .option("--for <duration>", "how long: 30m, 2h, 7d; without it until it is removed")
    .option("--wan <interface>", "the WAN it is on; without it the preferred one")
    .option("--from <networks>", FROM)
    .option("--source <which>", SOURCE_HELP)
    .option("--disabled", "add it without opening it");
  addMutationOptions(add).action(async (ports: string, target: string, options: AddOptions) => {
    const { protocols, externalPort, internalPort, count } = parseForward(ports);
    const internalAddress = await addressOf(cli.client, parseTarget(target));
    const { label = null, wan = null } = options;
    const lifetime = options.for === undefined ? null : parseDuration(options.for);
    const enabled = options.disabled !== true;
    const place = { externalPort, internalPort, count, internalAddress, label, lifetime, wan, enabled };
    const body = { ...place, ...visitorsBody(options) };
    const changes = protocols.map((protocol): PortChange => ({ op: "add", protocol, ...body }));
    await change(cli, changes, options, { one: protocols.length === 1, verb: "forwards" });
  });
}

interface AddOptions extends MutationOptions {
  readonly label?: string;
  readonly for?: string;
  readonly wan?: string;
  readonly disabled?: true;
  readonly from?: string;
  readonly source?: string;
}

const FROM = "only these networks reach it: 203.0.113.0/24, several with commas; `anywhere` for all";

function visitorsBody({ from, source }: Pick<AddOptions, "from" | "source">): Record<string, unknown> {
  const networks = from === "anywhere" ? [] : from?.split(",").map((each) => each.trim());
  return {
    ...(networks !== undefined && { from: networks }),
    ...sourceBody({ ...(source !== undefined && { source }) }),
  };
}

interface EditOptions extends MutationOptions {
  readonly from?: string;
  readonly source?: string;
  readonly external?: string;
  readonly to?: string;
  readonly label?: string;
  readonly for?: string;
  readonly forever?: true;
}

function addEditVerb(port: Command, cli: Cli): void {
  const edit = examples(port.command("edit"), [
    "portreeve port edit 8443/tcp --to 192.168.7.3:443 --label shop",
    "portreeve port edit 8443/tcp --from 203.0.113.0/24 --source gateway",
  ])
    .description("change a port of yours; live flows of what it was end")
    .argument("<port>", PORT)
    .option("--external <ports>", "another external port, or PORT-LAST")
    .option("--to <host[:port]>", "another host, or another port of it")
    .option("--from <networks>", FROM)
    .option("--source <which>", SOURCE_HELP)
    .option("--label <text>", 'what it is for; "" removes the label')
    .option("--for <duration>", "let it end after this long, from now")
    .option("--forever", "let it end no more");
  addMutationOptions(edit).action(async (text: string, options: EditOptions) => {
    const body = await editBody(cli, options);
    if (Object.keys(body).length === 0)
      throw usage("nothing to change", "name at least one of --external --to --from --source --label --for --forever");
    const ports = await choosePorts(cli.client, text);
    const changes = ports.map(({ id }): PortChange => ({ op: "edit", id, ...body }));
    await change(cli, changes, options, { one: namesOne(text), verb: "now forwards", before: ports });
  });
}

async function editBody(cli: Cli, options: EditOptions): Promise<Record<string, unknown>> {
  const body: Record<string, unknown> = visitorsBody(options);
  if (options.external !== undefined) {
    if (/[:/]/.test(options.external)) throw usage("--external takes a port or PORT-LAST, without protocol");
    const { externalPort, count } = parseForward(options.external);
    Object.assign(body, { externalPort, count });
  }
  if (options.to !== undefined) {
    const { target, port } = parseDestination(options.to);
    Object.assign(body, {
      internalAddress: await addressOf(cli.client, target),
      ...(port !== null && { internalPort: port }),
    });
  }
  if (options.label !== undefined) body["label"] = options.label === "" ? null : options.label;
  if (options.for !== undefined && options.forever === true) throw usage("--for and --forever exclude each other");
  if (options.for !== undefined) body["lifetime"] = parseDuration(options.for);
  if (options.forever === true) body["lifetime"] = null;
  return body;
}

interface ChoiceVerb {
  readonly name: string;
  readonly example: string;
  readonly description: string;
  readonly change: (id: string) => PortChange;
  /** In the question "… 8443/tcp?"; null: not asked, as it is easily undone. */
  readonly question: string | null;
  readonly gone?: true;
  readonly verb: string;
}

const CHOICE_VERBS: readonly ChoiceVerb[] = [
  {
    name: "remove",
    example: "portreeve port remove 8443/tcp",
    description: "end all claims on a port, and its live flows; a device may ask again",
    change: (id) => ({ op: "remove", id }),
    question: "remove",
    gone: true,
    verb: "is removed",
  },
  {
    name: "enable",
    example: "portreeve port enable 8443/tcp",
    description: "open a disabled port again",
    change: (id) => ({ op: "edit", id, enabled: true }),
    question: null,
    verb: "is open",
  },
  {
    name: "disable",
    example: "portreeve port disable 8443/tcp",
    description: "close a port and end its live flows; it stays listed",
    change: (id) => ({ op: "edit", id, enabled: false }),
    question: null,
    verb: "is closed",
  },
  {
    name: "keep",
    example: "portreeve port keep 8080/tcp",
    description: "keep a port that a device asked for until it is removed",
    change: (id) => ({ op: "keep", id }),
    question: null,
    verb: "stays until you remove it",
  },
  {
    name: "block",
    example: "portreeve port block 8080/tcp",
    description: "end a port and refuse the device that asks for it again",
    change: (id) => ({ op: "block", id }),
    question: "block",
    gone: true,
    verb: "is closed and may not be asked for again",
  },
];

function addChoiceVerbs(port: Command, cli: Cli): void {
  for (const { name, example, description, change: changeOf, question, gone = false, verb } of CHOICE_VERBS) {
    const command = examples(port.command(name), [example]).description(description).argument("<port>", PORT);
    addMutationOptions(command).action(async (text: string, options: MutationOptions) => {
      const ports = await choosePorts(cli.client, text);
      const names = ports.map((each) => `${externalText(each)} to ${each.internal.address}`);
      if (question !== null && options.dryRun !== true) await cli.confirm(`${question} ${names.join(" and ")}`);
      const changes = ports.map(({ id }) => changeOf(id));
      await change(cli, changes, options, { one: namesOne(text), verb, before: ports, gone });
    });
  }
}

interface Said {
  /** Scripts are given one document. */
  readonly one: boolean;
  readonly verb: string;
  /** The ports as they were. */
  readonly before?: readonly Port[];
  /** The change ends them. */
  readonly gone?: boolean;
}

/** Makes the changes as one, and prints the ports as they are now, or as they were last. */
async function change(
  cli: Cli,
  changes: readonly PortChange[],
  options: MutationOptions,
  { one, verb, before = [], gone = false }: Said,
): Promise<void> {
  const call = { method: "POST", path: "/ports/batch", body: { changes } } as const;
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  const ports = gone ? before : (result?.ports ?? []);
  if (cli.machine !== null) return await cli.show(one ? ports[0] : ports, () => "");
  for (const each of ports) {
    const same = !gone && before.some(({ id, revision }) => id === each.id && revision === each.revision);
    const pending = !gone && each.sync === "pending" ? " (not effective yet)" : "";
    await cli.write(`${sentence(each, verb)}${same ? " (it was so already)" : ""}${pending}\n`);
  }
}

function sentence(port: Port, verb: string): string {
  const place = `${port.external.address ?? port.wan} ${externalText(port)}`;
  if (!verb.endsWith("forwards")) return `${place} ${verb}`;
  const last = port.count === 1 ? "" : `-${port.internal.port + port.count - 1}`;
  return `${place} ${port.enabled ? verb : "is disabled and would forward"} to ${port.internal.address}:${port.internal.port}${last}`;
}

function addUnblockVerb(port: Command, cli: Cli): void {
  const command = examples(port.command("unblock"), ["portreeve port unblock 8080/tcp"])
    .description("let a device ask for a port again")
    .argument("<port>", "[DEVICE:]INTERNAL PORT[/tcp|/udp], as `port list --blocked` shows it");
  addMutationOptions(command).action(async (text: string, options: MutationOptions) => {
    const selector = parseSelector(text);
    if ("id" in selector)
      throw usage("a blocked port has no id", "`portreeve port list --blocked` shows what is blocked");
    const all = await cli.client.call<Block[]>({ path: "/blocks" });
    const blocks = all.filter(
      (each) =>
        each.internalPort === selector.port &&
        (selector.protocol === null || each.protocol === selector.protocol) &&
        (selector.address === null || each.device === selector.address),
    );
    if (blocks.length === 0) {
      throw new Failure(EXIT.notFound, `${text} is not blocked`, "`portreeve port list --blocked` shows what is");
    }
    if (new Set(blocks.map(({ device }) => device)).size > 1) {
      throw usage(`${text} is blocked for several devices`, "name one, as in 192.168.7.2:8080/tcp");
    }
    const changes = blocks.map(({ device, protocol, internalPort }): PortChange => {
      return { op: "unblock", device, protocol, internalPort };
    });
    const call = { method: "POST", path: "/ports/batch", body: { changes } } as const;
    if (options.dryRun === true) return await showPlan(cli, [call], options);
    await mutate(cli, [call], options);
    await cli.show(selector.protocol === null ? blocks : blocks[0], () => {
      return blocks.map((each) => `${each.device} may ask for ${each.internalPort}/${each.protocol} again\n`).join("");
    });
  });
}
