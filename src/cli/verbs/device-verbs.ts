import { Argument, type Command, Option } from "commander";
import type { DeviceDocument, TrafficDocument } from "../../api/schemas/device.ts";
import { TRAFFIC_SPANS } from "../../lib/peer-activity.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { DEVICE, devicePath } from "../device-choice.ts";
import { deviceDetails } from "../device-view.ts";
import { parseDuration, whenText } from "../duration.ts";
import { nameText } from "../../lib/domain-name.ts";
import { usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { examples, noun } from "../program-parts.ts";
import { foreseeEnds, foreseeRemoval } from "../removal.ts";
import { textTable } from "../text-table.ts";
import { addDeviceConfigVerbs } from "./device-config-verbs.ts";

interface DeviceOptions extends MutationOptions {
  readonly name?: string;
  readonly kind?: string;
  readonly subnet?: string;
  readonly lan?: string;
  readonly ip?: string;
  readonly publicKey?: string;
  readonly wan?: string;
  readonly zones?: string;
  readonly mapsFor?: string;
  readonly profile?: string;
  readonly for?: string;
  readonly forever?: true;
}

export function addDeviceVerbs(program: Command, cli: Cli): void {
  const device = noun(program, "device", "hosts on our subnets and on served LANs, and what they may do");
  examples(device, [
    "portreeve device add nas --kind server",
    "portreeve device config nas --qr",
    "portreeve device allow laptop ports",
    "portreeve device list",
  ]);
  examples(device.command("list"), ["portreeve device list"])
    .description("devices with their addresses, rights and tunnels")
    .action(async () => await list(cli));
  addShowVerb(device, cli);
  addAddVerb(device, cli);
  addEditVerb(device, cli);
  addRemoveVerb(device, cli);
  addKindVerbs(device, cli);
  addRightVerbs(device, cli);
  addDeviceConfigVerbs(device, cli);
}

async function list(cli: Cli): Promise<void> {
  const devices = await cli.client.call<DeviceDocument[]>({ path: "/devices" });
  await cli.show(devices, () => {
    if (devices.length === 0) return "There is no device. `portreeve device add NAME` registers one.\n";
    const rows = devices.map((device) => [
      device.registered ? device.name : `${device.name} (not registered)`,
      device.kind ?? "",
      device.subnet?.name ?? device.interface ?? "",
      device.address,
      device.rights === null ? "any" : device.rights.ports,
      device.rights === null ? "" : device.rights.dns,
      `${device.ports} of ${device.quota.ports}`,
      seenText(device, cli.now),
    ]);
    return textTable(
      ["DEVICE", "KIND", "ON", "ADDRESS", "MAY OPEN", "MAY NAME", "HOLDS", "LAST SEEN"],
      rows,
      cli.paint,
    );
  });
}

function addShowVerb(device: Command, cli: Cli): void {
  examples(device.command("show"), ["portreeve device show nas", "portreeve device show nas --span quarter-hour"])
    .description("one device in full, with its traffic of the last day")
    .argument("<device>", DEVICE)
    .addOption(new Option("--span <span>", "how far back its traffic goes").choices(TRAFFIC_SPANS).default("day"))
    .action(async (name: string, { span }: { span: string }) => {
      const path = devicePath(name);
      const found = await cli.client.call<DeviceDocument>({ path });
      const counted = found.tunnel !== null;
      const traffic = counted
        ? await cli.client.call<TrafficDocument>({ path: `${path}/traffic`, query: { span } })
        : null;
      await cli.show({ ...found, traffic }, () => deviceDetails(found, traffic, cli.now, cli.paint));
    });
}

function seenText({ tunnel }: DeviceDocument, now: number): string {
  if (tunnel === null) return "";
  return tunnel.handshakeAt === null ? "never" : whenText(tunnel.handshakeAt, now);
}

const kindOption = (): Option => new Option("--kind <kind>", "what it may do at first").choices(["server", "client"]);
const profileOption = (): Option =>
  new Option("--profile <profile>", "what its configuration routes").choices([
    "inbound",
    "full",
    "split",
    "starttunnel",
  ]);

function addAddVerb(device: Command, cli: Cli): void {
  const add = examples(device.command("add"), [
    "portreeve device add nas --kind server",
    "portreeve device add laptop --for 30d",
    "portreeve device add tv --lan lan0 --ip 192.168.77.30",
  ])
    .description("register a device; `server` may open ports and publish names, `client` neither")
    .argument("<name>", "letters, digits and hyphens: it is a DNS name too")
    .addOption(kindOption())
    .option("--subnet <subnet>", "the subnet it is on; without it the only one there is")
    .option("--lan <interface>", "a served LAN it is on, instead of a subnet")
    .option("--ip <address>", "its address; without it the first free one")
    .option("--public-key <key>", "of a device that made its key itself; without it one is made here")
    .option("--wan <wan>", "WAN interface, or one of its addresses, that it leaves by")
    .option("--zones <names>", "zones that are its own, with commas between: it may publish all below them")
    .option(
      "--maps-for <networks>",
      "hosts or networks, with commas between, that it may ask for ports in the place of",
    )
    .addOption(profileOption())
    .option("--for <duration>", "remove it by itself after this long: 2h, 7d");
  addMutationOptions(add).action(async (name: string, options: DeviceOptions) => {
    const body = {
      name: name.toLowerCase(),
      ...(options.kind !== undefined && { kind: options.kind }),
      ...(options.subnet !== undefined && { subnet: options.subnet }),
      ...(options.lan !== undefined && { interface: options.lan }),
      ...(options.publicKey !== undefined && { publicKey: options.publicKey }),
      ...fieldsOf(options),
    };
    const device = await change(cli, { method: "POST", path: "/devices", body }, options, "is registered");
    if (device?.subnet != null && cli.machine === null) {
      cli.say(`Next: \`portreeve device config ${device.name}\`, or with --qr for a phone`);
    }
  });
}

function addEditVerb(device: Command, cli: Cli): void {
  const edit = examples(device.command("edit"), [
    "portreeve device edit laptop --forever",
    "portreeve device edit nas --ip 10.59.7.9 --profile split",
    "portreeve device edit nas --zones nas.example.org",
    "portreeve device edit nas --maps-for 192.168.77.0/24",
  ])
    .description("change a device")
    .argument("<device>", DEVICE)
    .option("--name <name>", "another name")
    .option("--ip <address>", "another address; what is forwarded to it follows")
    .option("--wan <wan>", "another WAN, or `default`")
    .option("--zones <names>", "zones that are its own, with commas between, or `none`")
    .option("--maps-for <networks>", "hosts or networks that it may ask for ports in the place of, or `none`")
    .addOption(profileOption())
    .option("--for <duration>", "remove it by itself after this long, from now")
    .option("--forever", "remove it by itself no more");
  addMutationOptions(edit).action(async (name: string, options: DeviceOptions) => {
    const body: Record<string, unknown> = fieldsOf(options);
    if (options.name !== undefined) body["name"] = options.name.toLowerCase();
    if (options.forever === true) body["lifetime"] = null;
    if (Object.keys(body).length === 0)
      throw usage(
        "nothing to change",
        "name at least one of --name --ip --wan --zones --maps-for --profile --for --forever",
      );
    await change(cli, { method: "PATCH", path: devicePath(name), body }, options, "is changed");
  });
}

/** What is no name is left to the API, which says so. */
const zonesOf = (text: string): string[] =>
  text === "none" ? [] : text.split(",").map((part) => nameText(part.trim()) ?? part.trim());

const networksOf = (text: string): string[] => (text === "none" ? [] : text.split(",").map((part) => part.trim()));

function fieldsOf(options: DeviceOptions): Record<string, unknown> {
  return {
    ...(options.ip !== undefined && { address: options.ip }),
    ...(options.wan !== undefined && { wan: options.wan === "default" ? null : options.wan }),
    ...(options.zones !== undefined && { zones: zonesOf(options.zones) }),
    ...(options.mapsFor !== undefined && { mapsFor: networksOf(options.mapsFor) }),
    ...(options.profile !== undefined && { profile: options.profile }),
    ...(options.for !== undefined && { lifetime: parseDuration(options.for) }),
  };
}

function addRemoveVerb(device: Command, cli: Cli): void {
  const remove = examples(device.command("remove"), ["portreeve device remove tv"])
    .description("remove a device, its keys, and all that leads to it")
    .argument("<device>", DEVICE);
  addMutationOptions(remove).action(async (name: string, options: MutationOptions) => {
    const path = devicePath(name);
    const found = await cli.client.call<DeviceDocument>({ path });
    const call = { method: "DELETE", path } as const;
    if (options.dryRun === true) return await showPlan(cli, [call], options);
    const { question, along } = await foreseeRemoval(cli, call, found.id, `${found.name} (${found.address})`);
    await cli.confirm(question);
    await change(cli, call, options, `is removed${along}`, found);
  });
}

function addKindVerbs(device: Command, cli: Cli): void {
  for (const [verb, kind, description] of [
    ["promote", "server", "make it a server: it may open ports and publish names"],
    ["demote", "client", "make it a client: it may do neither, and what it opened ends"],
  ] as const) {
    const command = examples(device.command(verb), [`portreeve device ${verb} laptop`])
      .description(description)
      .argument("<device>", DEVICE);
    addMutationOptions(command).action(async (name: string, options: MutationOptions) => {
      const call: Call = { method: "PATCH", path: devicePath(name), body: { kind } };
      const ends = kind === "client" && options.dryRun !== true ? await foreseeEnds(cli, call) : "";
      await change(cli, call, options, `is a ${kind} now${ends}`);
    });
  }
}

function addRightVerbs(device: Command, cli: Cli): void {
  for (const [verb, right, description, said, what] of [
    [
      "allow",
      "auto",
      "let it open ports, or publish names, by itself",
      "may now use",
      ["ports", "8080/tcp", "shop.example.com"],
    ],
    ["ask", "ask", "let it ask: each request waits for a yes", "has to ask for", ["ports"]],
    ["deny", "off", "refuse it, and end what it made", "may use no more", ["8080/tcp", "dns", "shop.example.com"]],
  ] as const) {
    const lines = what.map((each) => `portreeve device ${verb} laptop ${each}`);
    const command = examples(device.command(verb), lines)
      .description(description)
      .argument("<device>", DEVICE)
      .addArgument(
        new Argument("<what>", "which right; or one port or name it asked for, as in 8080/tcp or shop.example.com"),
      );
    addMutationOptions(command).action(async (name: string, what: string, options: MutationOptions) => {
      const grant = async (call: Call): Promise<void> => {
        const ends = verb === "deny" && options.dryRun !== true ? await foreseeEnds(cli, call) : "";
        await change(cli, call, options, `${said} ${what}${ends}`);
      };
      if (what === "ports" || what === "dns") {
        return await grant({ method: "PATCH", path: devicePath(name), body: { [what]: right } });
      }
      const port = /^(\d{1,5})\/(tcp|udp)$/.exec(what);
      const asked = port === null && what.includes(".") ? nameText(what) : null;
      if (asked !== null && verb !== "ask") {
        return await grant({ method: "POST", path: `${devicePath(name)}/${verb}-name`, body: { name: asked } });
      }
      if (port === null || verb === "ask")
        throw usage(
          `${what} is no right`,
          "say ports, dns, or a port as in 8080/tcp, or a name as in shop.example.com",
        );
      const body = { protocol: port[2], internalPort: Number(port[1]) };
      await grant({ method: "POST", path: `${devicePath(name)}/${verb}`, body });
    });
  }
}

/** Makes the call and says what came of it; resolves with the device as it is now. */
async function change(
  cli: Cli,
  call: Call,
  options: MutationOptions,
  verb: string,
  was?: DeviceDocument,
): Promise<DeviceDocument | null> {
  if (options.dryRun === true) {
    await showPlan(cli, [call], options);
    return null;
  }
  const [result] = await mutate(cli, [call], options);
  const path = call.path.split("/").slice(0, 3).join("/");
  const now = was ?? result?.device ?? (await cli.client.call<DeviceDocument>({ path }));
  const already = result?.changed === false ? " (it was so already)" : "";
  await cli.show(now, () => `${now.name} ${now.address} ${verb}${already}\n`);
  return now;
}
