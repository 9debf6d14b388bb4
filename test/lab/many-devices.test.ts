import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { Http } from "../torture/http.mjs";
import { type Lab, scenario } from "./lab.ts";
import { type Host, WAN_GATEWAY } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

const OTHERS = 200;
/** Requests under way at once: what an operator's script does, and not one commit for all of them. */
const AT_ONCE = 20;
const SUBNETS = 20;
const DEVICES = 1000;
/** Of the box: no gap longer than a second. */
const GAP_MS = 1000;
const PINGS_BEFORE = 150;
const PING_S = "0.02";

interface Device {
  readonly name: string;
  readonly address: string;
  readonly publicKey: string;
  readonly subnet: { readonly name: string } | null;
}

describe("[W1] [W2] [W4] many devices", () => {
  const tunnel = tunnelName();
  scenario(
    "come, change and go beside a tunnel that notices nothing of it, two restarts included; a thousand in one apply",
    {
      needs: ["wg", "wg-quick", "wireguard-go"],
      peers: 1,
      timeoutMs: 180_000,
      config: { lan: [{ interface: "lan0" }], wireguard: { interface: tunnel } },
    },
    async (lab) => {
      const { gateway } = lab;
      const [host] = lab.topology.peers;
      if (host === undefined) throw new Error("no peer");
      expect(await gateway.cli("device", "add", "steady", "--kind", "server")).toMatchObject({ code: 0 });
      const steady = await TunnelPeer.up(host, gateway, "steady", "--profile", "full");
      try {
        const inside = lab.client();
        await inside.listen({ tcp: [7000] });
        const before = await pinging(host, inside.address, PINGS_BEFORE).counted();
        await steady.agent.startTicking("through", { host: inside.address, port: 7000, timeoutMs: 10_000 });
        const served = await lab.topology.gateway.exec("pgrep", "-f", `^wireguard-go ${tunnel}$`);
        const ping = pinging(host, inside.address);
        await churn(lab, tunnel);
        const during = await ping.stop();
        await thousand(lab, tunnel);
        const stream = await steady.agent.stopTicking("through");

        expect(stream.failure).toBeNull();
        expect([stream.inOrder, stream.said - stream.heard]).toEqual([true, 0]);
        expect(stream.said).toBeGreaterThan(100);
        expect(stream.stalledMs).toBeLessThan(GAP_MS);
        expect(during.sent).toBeGreaterThan(PINGS_BEFORE);
        expect(during.lost / during.sent).toBeLessThanOrEqual(before.lost / before.sent);
        expect(await lab.topology.gateway.exec("pgrep", "-f", `^wireguard-go ${tunnel}$`)).toBe(served);
        console.log(
          `${during.sent} pings, ${during.lost} lost; ${stream.said} lines, ${Math.round(stream.stalledMs)} ms still`,
        );
      } finally {
        await steady.down();
      }
    },
  );
});

/** `ping` from a host: so many, or until it is stopped. */
function pinging(host: Host, address: string, count?: number) {
  const many = count === undefined ? [] : ["-c", `${count}`];
  const command = ["ping", "-n", "-q", "-i", PING_S, ...many, address];
  const child = host.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
    said += piece;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const counted = async (): Promise<{ sent: number; lost: number }> => {
    await ended;
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
    return { sent: Number(sent), lost: Number(sent) - Number(received) };
  };
  const stop = async () => {
    child.kill("SIGINT");
    return await counted();
  };
  return { counted, stop };
}

/** Others are added, edited and removed, each by a request of its own; between that the controller is stopped and killed. */
async function churn({ gateway, topology }: Lab, tunnel: string): Promise<void> {
  const http = new Http(gateway.socket);
  const names = Array.from({ length: OTHERS }, (_, index) => `other-${index}`);
  const each = async (ask: (name: string, index: number) => Promise<{ status: number; document: unknown }>) => {
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < names.length; index = next++) {
        const { status, document } = await ask(names[index] as string, index);
        expect(status, JSON.stringify(document)).toBeLessThan(300);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };
  const peers = async () => (await topology.gateway.exec("wg", "show", tunnel, "peers")).trimEnd().split("\n").length;
  await each((name) => http.post("/api/v1/devices", { name }, {}));
  expect(await peers()).toBe(OTHERS + 1);
  await gateway.stop();
  await gateway.start();
  await each((name, index) =>
    index % 2 === 0
      ? http.patch(`/api/v1/devices/${name}`, { kind: "server", wan: WAN_GATEWAY })
      : http.post(`/api/v1/devices/${name}/rekey`, null, {}),
  );
  expect(await peers()).toBe(OTHERS + 1);
  await gateway.kill();
  await gateway.start();
  await each((name) => http.delete(`/api/v1/devices/${name}`));
  expect(await peers()).toBe(1);
}

/** One file, one change: all of them are in the kernel when the command is back. */
async function thousand({ gateway, topology }: Lab, tunnel: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-many-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "many.yaml");
  const nets = Array.from({ length: SUBNETS }, (_, net) => ({ name: `net-${net}`, prefix: `10.80.${net}.0/24` }));
  const devices = Array.from({ length: DEVICES }, (_, index) => ({
    name: `d-${index}`,
    subnet: `net-${index % SUBNETS}`,
  }));
  writeFileSync(file, JSON.stringify({ name: "many", subnets: nets, devices }));
  const { seq } = await gateway.json<{ seq: number }>("status");
  const applied = await gateway.cli("apply", "--file", file);
  expect(applied, applied.stderr).toMatchObject({ code: 0 });
  const listed = await gateway.json<Device[]>("device", "list");
  expect(listed).toHaveLength(DEVICES + 1);
  const allowed = (await topology.gateway.exec("wg", "show", tunnel, "allowed-ips")).trimEnd().split("\n").sort();
  expect(allowed).toEqual(listed.map(({ publicKey, address }) => `${publicKey}\t${address}/32`).sort());
  const routes: { dst: string }[] = JSON.parse(
    await topology.gateway.exec("ip", "-json", "route", "show", "dev", tunnel),
  );
  expect(routes.map(({ dst }) => dst)).toEqual(expect.arrayContaining(nets.map(({ prefix }) => prefix)));
  type Event = { readonly type: string; readonly requestId: string };
  const events = await gateway.json<Event[]>("events", "list", "--after", `${seq}`, "--limit", "5000");
  const added = events.filter(({ type }) => type === "device.added" || type === "subnet.added");
  expect(added).toHaveLength(SUBNETS + DEVICES);
  expect(new Set(added.map(({ requestId }) => requestId)).size, "one change").toBe(1);
  writeFileSync(file, JSON.stringify({ name: "many" }));
  const pruned = await gateway.cli("apply", "--file", file, "--prune", "--yes");
  expect(pruned, pruned.stderr).toMatchObject({ code: 0 });
  expect(await gateway.json<Device[]>("device", "list")).toHaveLength(1);
  expect((await topology.gateway.exec("wg", "show", tunnel, "peers")).trimEnd().split("\n")).toHaveLength(1);
}
