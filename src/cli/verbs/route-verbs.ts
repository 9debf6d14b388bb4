import type { Command } from "commander";
import type { Port } from "../../api/schemas/port.ts";
import type { Route } from "../../api/schemas/route.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { addressOf } from "../device-choice.ts";
import { parseDuration } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { parseDestination, parsePort, parseTarget, SOURCE_HELP, sourceBody } from "../port-text.ts";
import { examples, noun } from "../program-parts.ts";
import { routeDetails, routeTable, routeText } from "../route-view.ts";

const ROUTE = "id, or NAME[:PORT]; no port means 443";

export function addRouteVerbs(program: Command, cli: Cli): void {
  const route = noun(program, "route", "TLS names that share a port, each led to a host of its own");
  examples(route, [
    "portreeve route add nas.example.org nas",
    "portreeve route add '*.example.org' 192.168.7.2:8443 --label web",
    "portreeve route list",
    "portreeve route edit nas.example.org --to 192.168.7.3",
    "portreeve route remove nas.example.org",
  ]);
  addReadingVerbs(route, cli);
  addAddVerb(route, cli);
  addEditVerb(route, cli);
  addChoiceVerbs(route, cli);
}

function addReadingVerbs(route: Command, cli: Cli): void {
  examples(route.command("list"), ["portreeve route list --device 192.168.7.2"])
    .description("all routes, with the connections that each had")
    .option("--device <host>", "only those to this device, by name or address")
    .action(async ({ device }: { device?: string }) => {
      const query = { device: device === undefined ? null : await addressOf(cli.client, parseTarget(device)) };
      const routes = await cli.client.call<Route[]>({ path: "/routes", query });
      await cli.show(routes, () => routeTable(routes, cli.now, cli.paint));
    });
  examples(route.command("show"), ["portreeve route show nas.example.org"])
    .description("one route in full")
    .argument("<route>", ROUTE)
    .action(async (text: string) => {
      const found = await chooseRoute(cli, text);
      await cli.show(found, () => routeDetails(found, cli.now, cli.paint));
    });
}

/** The row that a `ROUTE` names; a `Failure` with exit code 3 if there is none. */
async function chooseRoute(cli: Cli, text: string): Promise<Route> {
  if (/^m[0-9a-f]{12}$/.test(text)) return await cli.client.call<Route>({ path: `/routes/${text}` });
  const { name, port } = parseName(text);
  const routes = await cli.client.call<Route[]>({ path: "/routes", query: { name, port } });
  const [found, ...more] = routes;
  if (found === undefined) {
    throw new Failure(EXIT.notFound, `there is no route ${text}`, "`portreeve route list` shows those there are");
  }
  if (more.length > 0) throw usage(`${text} is led on several WANs`, "name one by its id, as `route list` shows it");
  return found;
}

/** `NAME[:PORT]`. */
function parseName(text: string): { readonly name: string; readonly port: number } {
  const colon = text.indexOf(":");
  if (colon < 0) return { name: text, port: 443 };
  return { name: text.slice(0, colon), port: parsePort(text.slice(colon + 1)) };
}

interface AddOptions extends MutationOptions {
  readonly label?: string;
  readonly for?: string;
  readonly wan?: string;
  readonly source?: string;
  readonly disabled?: true;
}

function addAddVerb(route: Command, cli: Cli): void {
  const add = examples(route.command("add"), [
    "portreeve route add nas.example.org nas",
    "portreeve route add mail.example.org:993 192.168.7.2 --for 7d",
  ])
    .description("lead a TLS name to a host; what no name is for goes where the port itself is forwarded")
    .argument("<name>", "NAME[:PORT] as visitors ask for it, or *.NAME; no port means 443")
    .argument("<host>", "HOST[:PORT]: the device's name, or any host's IPv4 address; no port means the same")
    .option("--label <text>", "what it is for")
    .option("--for <duration>", "how long: 30m, 2h, 7d; without it until it is removed")
    .option("--wan <wan>", "the WAN it is on; without it the preferred one")
    .option("--source <which>", SOURCE_HELP)
    .option("--disabled", "add it without opening it");
  addMutationOptions(add).action(async (text: string, host: string, options: AddOptions) => {
    const { name, port: externalPort } = parseName(text);
    const { target, port: internalPort } = parseDestination(host);
    const internalAddress = await addressOf(cli.client, target);
    const { label = null, wan = null } = options;
    const lifetime = options.for === undefined ? null : parseDuration(options.for);
    const place = { name, externalPort, internalAddress, ...(internalPort !== null && { internalPort }) };
    const body = { ...place, label, wan, lifetime, enabled: options.disabled !== true, ...sourceBody(options) };
    await change(cli, { method: "POST", path: "/routes", body }, options, "leads");
  });
}

interface EditOptions extends MutationOptions {
  readonly to?: string;
  readonly port?: string;
  readonly label?: string;
  readonly for?: string;
  readonly forever?: true;
  readonly source?: string;
}

function addEditVerb(route: Command, cli: Cli): void {
  const edit = examples(route.command("edit"), [
    "portreeve route edit nas.example.org --to 192.168.7.3:8443 --label nas",
  ])
    .description("change a route of yours; connections that there are go on as they were")
    .argument("<route>", ROUTE)
    .option("--to <host[:port]>", "another host, or another port of it")
    .option("--port <port>", "another external port")
    .option("--source <which>", SOURCE_HELP)
    .option("--label <text>", 'what it is for; "" removes the label')
    .option("--for <duration>", "let it end after this long, from now")
    .option("--forever", "let it end no more");
  addMutationOptions(edit).action(async (text: string, options: EditOptions) => {
    const body = await editBody(cli, options);
    if (Object.keys(body).length === 0)
      throw usage("nothing to change", "name at least one of --to --port --source --label --for --forever");
    const before = await chooseRoute(cli, text);
    await change(cli, { method: "PATCH", path: `/routes/${before.id}`, body }, options, "now leads", before);
  });
}

async function editBody(cli: Cli, options: EditOptions): Promise<Record<string, unknown>> {
  const body: Record<string, unknown> = sourceBody(options);
  if (options.to !== undefined) {
    const { target, port } = parseDestination(options.to);
    body["internalAddress"] = await addressOf(cli.client, target);
    if (port !== null) body["internalPort"] = port;
  }
  if (options.port !== undefined) body["externalPort"] = parsePort(options.port);
  if (options.label !== undefined) body["label"] = options.label === "" ? null : options.label;
  if (options.for !== undefined && options.forever === true) throw usage("--for and --forever exclude each other");
  if (options.for !== undefined) body["lifetime"] = parseDuration(options.for);
  if (options.forever === true) body["lifetime"] = null;
  return body;
}

function addChoiceVerbs(route: Command, cli: Cli): void {
  const remove = examples(route.command("remove"), ["portreeve route remove nas.example.org"])
    .description("end all claims on a route; connections that there are go on, and a device may ask again")
    .argument("<route>", ROUTE);
  addMutationOptions(remove).action(async (text: string, options: MutationOptions) => {
    const before = await chooseRoute(cli, text);
    if (options.dryRun !== true) await cli.confirm(`remove ${routeText(before)} to ${before.internal.address}`);
    await change(cli, { method: "DELETE", path: `/routes/${before.id}` }, options, "is removed", before);
  });
  for (const enabled of [true, false]) {
    const verb = enabled ? "enable" : "disable";
    const command = examples(route.command(verb), [`portreeve route ${verb} nas.example.org`])
      .description(enabled ? "open a disabled route again" : "close a route to new connections; it stays listed")
      .argument("<route>", ROUTE);
    addMutationOptions(command).action(async (text: string, options: MutationOptions) => {
      const before = await chooseRoute(cli, text);
      const call = { method: "PATCH", path: `/routes/${before.id}`, body: { enabled } } as const;
      await change(cli, call, options, enabled ? "is open" : "is closed", before);
    });
  }
}

/** Makes the change, and prints the route as it is now, or as it was last. */
async function change(cli: Cli, call: Call, options: MutationOptions, verb: string, before?: Route): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  const gone = verb === "is removed";
  const route = gone ? before : result?.port;
  if (route === undefined || route === null) return;
  const same = !gone && before?.revision === route.revision ? " (it was so already)" : "";
  const pending = !gone && route.sync === "pending" ? " (not effective yet)" : "";
  await cli.show(route, () => `${sentence(route, verb)}${same}${pending}\n`);
}

function sentence(route: Port, verb: string): string {
  const name = `${routeText(route)} at ${route.external.address ?? route.wan}`;
  if (!verb.endsWith("leads")) return `${name} ${verb}`;
  return `${name} ${route.enabled ? verb : "is disabled and would lead"} to ${route.internal.address}:${route.internal.port}`;
}
