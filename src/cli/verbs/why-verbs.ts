import type { Command } from "commander";
import type { Provenance } from "../../api/schemas/provenance.ts";
import type { WhyDocument } from "../../api/schemas/why.ts";
import type { Cli } from "../cli.ts";
import { whenText } from "../duration.ts";
import { recordLine } from "../event-text.ts";
import { EXIT, Failure } from "../exit.ts";
import { choosePorts, namesOne } from "../port-choice.ts";
import { externalText, portDetails } from "../port-view.ts";
import { examples, noun } from "../program-parts.ts";
import { printable } from "../terminal.ts";
import { textTable } from "../text-table.ts";

interface Kind {
  readonly name: string;
  readonly description: string;
  readonly key: string;
  readonly example: string;
}

const KINDS: readonly Kind[] = [
  {
    name: "element",
    description: "an element of our nftables maps and sets",
    key: "as plans show it, as in `forward|ADDRESS|tcp|8443`",
    example: "'forward|11.22.33.1|tcp|8443'",
  },
  { name: "sysctl", description: "a kernel parameter", key: "its dotted name", example: "net.ipv4.ip_forward" },
  { name: "device", description: "a registered device", key: "its name or id", example: "nas" },
  { name: "subnet", description: "a WireGuard subnet", key: "its name or id", example: "home" },
  {
    name: "peer",
    description: "a WireGuard peer",
    key: "its public key",
    example: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
  },
  {
    name: "address",
    description: "an address on our own interface",
    key: "the address with its prefix length",
    example: "10.59.7.1/24",
  },
  { name: "route", description: "a route of ours", key: "its prefix", example: "10.59.7.0/24" },
  { name: "rule", description: "a routing rule of ours", key: "its priority", example: "1910" },
  { name: "neighbour", description: "an address we answer for", key: "the address", example: "2001:db8::a3b:702" },
  {
    name: "block",
    description: "what a device may not ask for",
    key: "ADDRESS|tcp|PORT",
    example: "'192.168.77.2|tcp|8080'",
  },
  { name: "record", description: "a record of the DNS", key: "its name, or its id", example: "nas.home.arpa" },
];

export function addWhyVerbs(program: Command, cli: Cli): void {
  const why = noun(program, "why", "where something comes from, or what became of it");
  examples(why, [
    "portreeve why port 8443/tcp",
    "portreeve why sysctl net.ipv4.ip_forward",
    "portreeve why device nas",
  ]);
  examples(why.command("port"), ["portreeve why port 8443/tcp", "portreeve why port 8443"])
    .description("who wants a port, since which record, and what became of each of its rows in the kernel")
    .argument("<port>", "id, or [ADDRESS:]PORT[/tcp|/udp]; no protocol means both")
    .action(async (text: string) => await whyPort(cli, text));
  for (const { name, description, key, example } of KINDS) {
    examples(why.command(name), [`portreeve why ${name} ${example}`])
      .description(description)
      .argument("<key>", key)
      .action(async (text: string) => {
        const found = await cli.client.call<WhyDocument>({ path: `/why/${name}/${encodeURIComponent(text)}` });
        await cli.show(found, () => whyText(found, cli));
      });
  }
}

async function whyPort(cli: Cli, text: string): Promise<void> {
  const ports = await choosePorts(cli.client, text).catch((cause: unknown) => {
    if (cause instanceof Failure && cause.exitCode === EXIT.notFound) return null;
    throw cause;
  });
  if (ports === null) {
    // The log may remember one.
    const gone = await cli.client.call<WhyDocument>({ path: `/why/port/${encodeURIComponent(text)}` });
    return await cli.show(gone, () => whyText(gone, cli));
  }
  const whys: Provenance[] = [];
  for (const { id } of ports) whys.push(await cli.client.call<Provenance>({ path: `/why/port/${id}` }));
  await cli.show(namesOne(text) ? whys[0] : whys, () => whys.map((each) => portText(each, cli)).join("\n"));
}

function whyText({ text, events }: WhyDocument, cli: Cli): string {
  const records = events.map((each) => recordLine(each, cli.paint)).join("");
  return `${text.map((line) => `${printable(line)}\n`).join("")}${records === "" ? "" : `\n${records}`}`;
}

function portText({ port, notes, claims, events, unread, rows }: Provenance, cli: Cli): string {
  const claimLines = claims.map(({ key, by, seq, expiresAt }) => {
    const since = seq === null ? "" : `, since record ${seq}`;
    return `  ${printable(key)} by ${by ?? "an operator"}${since}, ends ${whenText(expiresAt, cli.now)}\n`;
  });
  const rowLines = textTable(
    ["RECONCILER", "ROW", "STATE", "REVISION", "ERROR"],
    rows.map((row) => [row.reconciler, row.key, row.status, `${row.revision}`, row.error ?? ""]),
    cli.paint,
  );
  return [
    `${portDetails(port, cli.now, cli.paint)}\n`,
    notes.map((note) => `${cli.paint("yellow", "!")} ${note}\n\n`).join(""),
    `${externalText(port)} is there because of\n${claimLines.join("")}\n`,
    `It came about by\n${events.map((each) => recordLine(each, cli.paint)).join("")}\n`,
    unread === null ? "" : `Records ${unread.first} to ${unread.last} were not looked through.\n\n`,
    rows.length === 0 ? "No row of the kernel belongs to it.\n" : rowLines,
  ].join("");
}
