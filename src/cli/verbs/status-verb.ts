import type { Command } from "commander";
import type { StatusDocument } from "../../api/schemas/status.ts";
import type { Cli } from "../cli.ts";
import { durationText } from "../duration.ts";
import { EXIT } from "../exit.ts";
import { examples } from "../program-parts.ts";
import type { Paint } from "../terminal.ts";
import { confirmationText } from "./change-verbs.ts";
import { counted, textFields } from "../text-table.ts";

export function addStatusVerb(program: Command, cli: Cli): void {
  const status = program
    .command("status")
    .description("the whole gateway on one page; exits 8 while it can promise nothing")
    .action(async () => void (await showStatus(cli)));
  examples(status, ["portreeve status", "portreeve status --json"]);
}

export async function showStatus(cli: Cli): Promise<StatusDocument> {
  const status = await cli.client.call<StatusDocument>({ path: "/status" });
  await cli.show(status, () => statusText(status, cli.paint, cli.now));
  if (!status.ready) cli.exitCode = EXIT.problemFound;
  return status;
}

/** What one does next, after `portreeve` alone. */
export function nextSteps({ ports, tunnel }: Pick<StatusDocument, "ports" | "tunnel">): string {
  const steps: [string, string][] = [
    ...(tunnel?.devices === 0
      ? ([["portreeve device add NAME", "let a device into the private network"]] satisfies [string, string][])
      : []),
    ports.total === 0 ? ["portreeve port add 8080/tcp HOST", "open a port"] : ["portreeve port list", "what is open"],
    ["portreeve events tail", "what happens"],
    ["portreeve --help", "everything else"],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  return ["", ...steps.map(([command, what]) => `${command.padEnd(width)}  ${what}`)].join("\n");
}

function statusText(status: StatusDocument, paint: Paint, now: number): string {
  const how = status.ready
    ? paint("green", "ready")
    : paint("red", status.mode === "safe" ? "in safe mode" : "not ready");
  const head = `Portreeve ${status.version} is ${how}, up ${durationText(status.uptime)}, at record ${status.seq}\n\n`;
  const { total, devices, failing } = status.ports;
  const open =
    total === 0 ? "none open" : `${total} open${devices === 0 ? "" : `, of ${counted(devices, "device")} that asked`}`;
  const fields: [string, string[]][] = [
    ["wan", status.wans.map((wan) => `${wan.interface}  ${addressText(wan)}${wayText(wan, status.wans.length > 1)}`)],
    ["lan", status.lans.map(lanText)],
    ["wireguard", tunnelTexts(status.tunnel)],
    ["ports", [failing === 0 ? open : `${open}, ${failing} rows failing`]],
    [
      "reconcilers",
      status.reconcilers.map(({ name, level, message }) => `${name} ${level}${level === "ok" ? "" : `: ${message}`}`),
    ],
    ["sockets", status.sockets],
    ["log", logTexts(status)],
  ];
  if (status.wans.length === 0) fields[0] = ["wan", ["none: set wan.interfaces, or give the machine a default route"]];
  if (status.lans.length === 0) fields[1] = ["lan", ["none served: name one under `lan:` in the configuration"]];
  const shown = fields.filter(([, values]) => values.length > 0);
  const trials = status.confirmations.map((each) => confirmationText(each, now));
  const warnings = [...status.reasons, ...trials, ...status.warnings].map(
    (each) => `${paint("yellow", "!")} ${each}\n`,
  );
  return `${head}${textFields(shown, paint)}${warnings.length > 0 ? "\n" : ""}${warnings.join("")}`;
}

/** Nothing, as long as there is nothing to say. */
function logTexts({ log: { base, verification } }: StatusDocument): string[] {
  const archived = base === 0 ? [] : [`records up to ${base} are in the archive`];
  const check = verification === null || verification.state === "ok" ? [] : [verification.message];
  return [...archived, ...check];
}

function tunnelTexts(tunnel: StatusDocument["tunnel"]): string[] {
  if (tunnel === null) return [];
  const { interface: name, up, listenPort, subnets, devices } = tunnel;
  const members = `${counted(devices, "device")} in ${counted(subnets, "subnet")}`;
  if (devices === 0) return [`${members}; ${name} comes with the first device`];
  return [`${name}  ${up ? `port ${listenPort}/udp` : "down"}  ${members}`];
}

function addressText({ up, externalAddress }: StatusDocument["wans"][number]): string {
  if (!up) return "down";
  return externalAddress ?? "no public address; ports open when it has one";
}

/** With one WAN its address says enough. */
function wayText({ up, gateway }: StatusDocument["wans"][number], several: boolean): string {
  if (!several || !up || gateway === "link") return "";
  return gateway === null ? "  leads nowhere: it has no default route" : `  via ${gateway}`;
}

function lanText({ interface: name, up, addresses, nonce }: StatusDocument["lans"][number]): string {
  return `${name}  ${up ? addresses.join(" ") || "no address" : "down"}  nonces ${nonce}`;
}
