import { readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Agent } from "./agent.mjs";
import { type CliResult, runCli } from "./gateway.mjs";
import type { Lab } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

/** PCP NO_RESOURCES, RFC 6887 §7.4: what a device hears while nothing can be promised. */
const NO_RESOURCES = 8;

interface Status {
  readonly mode: string;
  readonly fault: { readonly code: string; readonly seq: number; readonly next: string } | null;
}

export const ask = (lab: Lab, client: Agent, port: number) =>
  lab.map(client, { protocol: "tcp", internalPort: port, suggestedPort: port, lifetime: 7200, nonce: "7a".repeat(12) });

export interface Expected {
  readonly code: string;
  /** What mends it, as the daemon says it. */
  readonly next: string;
  /** A port that was open before, to c0. */
  readonly openPort: number;
  /** Of `events verify`: 0 where the log is whole, and only too old or not ours. Default 8. */
  readonly verify?: number;
  /** Of the program that finds the fault. */
  readonly env?: Record<string, string>;
}

/** A start that ends in safe mode, and its stop. */
export async function expectSafeMode(lab: Lab, expected: Expected): Promise<void> {
  await expectSafe(lab, await lab.gateway.start(expected.env), expected);
  expect((await lab.gateway.stop()).code, "run").toBe(1);
}

/** What every safe mode owes: the fault, where it is and what mends it, in every place; no promise; forwards as they are. */
export async function expectSafe(lab: Lab, line: Record<string, unknown>, expected: Expected): Promise<void> {
  const { code, next, openPort, verify = 8, env } = expected;
  const { gateway } = lab;
  expect(line).toMatchObject({ msg: "safe-mode", code });
  expect(line["next"], "the log line").toContain(next);
  expect(await gateway.get("/healthz")).toMatchObject({ status: 200 });
  const { status, body } = await gateway.get("/readyz");
  expect([status, body]).toEqual([503, expect.stringContaining(next)]);
  const shown = await gateway.cli("status", "--json");
  expect(shown.code, "status").toBe(8);
  const document = JSON.parse(shown.stdout) as Status;
  expect(document).toMatchObject({ mode: "safe", fault: { code, seq: line["seq"] } });
  expect(document.fault?.next).toContain(next);
  expect(document.fault?.next).toContain(gateway.dataDir);
  expect((await gateway.cli("status")).stdout).toContain(next);
  const verified = await runCli(["events", "verify", "--data-dir", gateway.dataDir], env);
  expect(verified.code, `events verify: ${verified.stdout}${verified.stderr}`).toBe(verify);
  if (verify !== 0) {
    expect(verified.stdout).toContain(code);
    expect(verified.stdout).toContain(next);
  }
  expect((await gateway.cli("port", "add", "9/tcp", lab.client().address)).code, "a mutation").not.toBe(0);
  expect(await ask(lab, lab.client(), 9000), "a device").toMatchObject({ result: NO_RESOURCES });
  expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: openPort })).toMatchObject({ by: "c0" });
}

export const logFile = (lab: Lab, ending: string): string => {
  const folder = join(lab.gateway.dataDir, "log");
  const files = readdirSync(folder).filter((name) => name.endsWith(ending));
  const bySize = files.sort((a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size);
  return join(folder, bySize[0] as string);
};

/** A daemon that was started twice, so that its log lies in tables too, with one port open. */
export async function servePort(lab: Lab, port: number): Promise<void> {
  await lab.client().listen({ tcp: [port] });
  expect(await ask(lab, lab.client(), port)).toMatchObject({ result: 0, externalPort: port });
}

export async function offline(lab: Lab, ...args: string[]): Promise<CliResult> {
  return await runCli([...args, "--data-dir", lab.gateway.dataDir]);
}

/** Puts what a command made beside the data directory in its place, as the command says to. */
export function takeUp(lab: Lab, ran: CliResult): void {
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  const { dataDir } = lab.gateway;
  const target = /^ {2}mv (\S+\.salvaged-\d+) /m.exec(ran.stdout)?.[1];
  expect(target).toBeDefined();
  renameSync(dataDir, `${dataDir}.damaged`);
  renameSync(target as string, dataDir);
}

export async function expectServing(lab: Lab, port: number): Promise<void> {
  expect(await lab.gateway.start()).toMatchObject({ msg: "ready" });
  const ports = async () => (await lab.gateway.ports()).map(({ external, sync }) => [external.port, sync]);
  await expect.poll(ports).toContainEqual([port, "synced"]);
  expect(await lab.internet.tcp({ host: WAN_GATEWAY, port })).toMatchObject({ by: "c0" });
  expect(await ask(lab, lab.client(), port)).toMatchObject({ result: 0, externalPort: port });
  expect((await lab.gateway.cli("events", "verify")).code).toBe(0);
}
