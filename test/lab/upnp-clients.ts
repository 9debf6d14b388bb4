import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { eventually, type Lab } from "./lab.ts";
import { type Host, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";
import { TunnelPeer } from "./tunnel.ts";

/** What real control points do with the gateway, each on a host of its own. */

export const PORT = 49001;
const NONCE = "0102030405060708090a0b0c";
const PYTHON = "/usr/bin/python3";
const BITTORRENT = fileURLToPath(new URL("programs/bittorrent.py", import.meta.url));
const NAT_PORT_MAPPER = fileURLToPath(new URL("programs/nat-port-mapper.mjs", import.meta.url));

export const descriptionOf = (lab: Lab): string => `http://${lab.server}:${PORT}/rootDesc.xml`;
export const external = async (lab: Lab): Promise<string[]> =>
  (await lab.gateway.ports())
    .map(
      ({ protocol, external: { port }, internal, source }) =>
        `${protocol} ${port} ${internal.address}:${internal.port} ${source}`,
    )
    .sort();

/** `upnpc`, told where the gateway is: what it finds by searching is looked at once. */
async function upnpc(lab: Lab, index: number, ...args: string[]): Promise<string> {
  return await lab.client(index).host.exec("upnpc", "-u", descriptionOf(lab), ...args);
}

export async function upnpcSession(lab: Lab): Promise<void> {
  const client = lab.client();
  const { address } = client;
  const found = await client.host.exec("upnpc", "-s");
  expect(found).toContain(`desc: ${descriptionOf(lab)}`);
  expect(found).toContain("st: urn:schemas-upnp-org:device:InternetGatewayDevice:1");
  expect(found).toContain("Status : Connected");
  expect(found).toContain(`ExternalIPAddress = ${WAN_GATEWAY}`);
  await client.listen({ tcp: [8080], udp: [8080] });
  expect(await upnpc(lab, 0, "-e", "my server", "-a", "@", "8080", "18080", "TCP", "600")).toContain(
    `external ${WAN_GATEWAY}:18080 TCP is redirected to internal ${address}:8080 (duration=600)`,
  );
  const reached = await lab.internet.tcp({ host: WAN_GATEWAY, port: 18080, payload: "by UPnP" });
  expect(reached).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER, payload: "by UPnP" });
  expect(await upnpc(lab, 0, "-l")).toMatch(new RegExp(` 0 TCP 18080->${address}:8080 +'my server' '' (600|59\\d)`));
  const any = await upnpc(lab, 0, "-n", "@", "8080", "18081", "UDP", "600");
  expect(any).toContain(`external ${WAN_GATEWAY}:18081 UDP is redirected to internal ${address}:8080`);
  expect(await upnpc(lab, 0, "-L")).toMatch(new RegExp(`UDP 18081->${address}:8080`));
  expect(await upnpc(lab, 3, "-L"), "what is of others").not.toMatch(/1808[01]->/);
  // It exits with 2 then.
  const taken = await upnpc(lab, 3, "-a", "@", "8080", "18080", "TCP", "600").catch((cause) => `${cause.stdout}`);
  expect(taken).toContain("failed with code 718 (ConflictInMappingEntry)");
  const another = await upnpc(lab, 3, "-n", "@", "8080", "18080", "TCP", "600");
  expect(another).toMatch(/external 11\.22\.33\.1:(?!18080)\d+ TCP is redirected/);
  // One mapping of one device, by two protocols: one forward, two claims.
  const pcp = await lab.map(client, {
    protocol: "tcp",
    internalPort: 8080,
    suggestedPort: 18080,
    lifetime: 3600,
    nonce: NONCE,
  });
  expect(pcp).toMatchObject({ result: 0, externalPort: 18080 });
  expect(await upnpc(lab, 0, "-d", "18080", "TCP")).toContain("UPNP_DeletePortMapping() returned : 0");
  expect(await external(lab)).toContain(`tcp 18080 ${address}:8080 pcp`);
  await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 18080, lifetime: 0, nonce: NONCE });
  expect(await external(lab), "the last claim is gone").not.toContain(`tcp 18080 ${address}:8080 pcp`);
  expect(await upnpc(lab, 0, "-N", "18000", "18999", "UDP", "1")).toContain(
    "UPNP_DeletePortMappingRange() returned : 0",
  );
  await upnpc(lab, 3, "-N", "1024", "65535", "TCP", "1");
  expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 18080 })).not.toBeNull();
}

export async function libtorrentSession(lab: Lab, host: Host): Promise<void> {
  const torrent = host.spawn([PYTHON, BITTORRENT, `${host.address}:6881`, "upnp"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const alerts: { event: string; message: string }[] = [];
  if (torrent.stdout === null) throw new Error("libtorrent has no stdout");
  createInterface({ input: torrent.stdout }).on("line", (line) => alerts.push(JSON.parse(line)));
  await eventually(async () => expect(alerts.filter(({ event }) => event === "mapped").length).toBe(2), 20_000);
  expect(alerts.filter(({ event }) => event === "error")).toEqual([]);
  const mine = async () => (await external(lab)).filter((line) => line.includes(host.address));
  expect(await mine()).toEqual([`tcp 6881 ${host.address}:6881 upnp`, `udp 6881 ${host.address}:6881 upnp`]);
  torrent.stdin?.end();
  await eventually(async () => expect(await mine()).toEqual([]), 10_000);
}

export async function natPortMapperSession(lab: Lab, host: Host): Promise<void> {
  const child = host.spawn([process.execPath, NAT_PORT_MAPPER, host.address, "9090"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdout === null) throw new Error("the client has no stdout");
  const said = text(child.stdout);
  const mine = async () => (await external(lab)).filter((line) => line.includes(host.address));
  await eventually(async () => expect(await mine()).toEqual([`tcp 9090 ${host.address}:9090 upnp`]), 20_000);
  child.stdin?.end();
  expect(JSON.parse(await said)).toMatchObject({
    external: WAN_GATEWAY,
    mapped: { externalPort: 9090, internalHost: host.address },
  });
  await eventually(async () => expect(await mine()).toEqual([]));
}

/** A device with everything in its tunnel finds the gateway there; one whose tunnel is narrow has to be told where it is. */
export async function tunnelSession(lab: Lab): Promise<void> {
  const { internet, topology, gateway } = lab;
  const [wide, narrow] = topology.peers;
  if (wide === undefined || narrow === undefined) throw new Error("no peers");
  const up = await Promise.all([
    TunnelPeer.up(wide, gateway, "wide", "--profile", "full"),
    TunnelPeer.up(narrow, gateway, "narrow", "--profile", "split"),
  ]);
  try {
    for (const [index, { agent, address }] of up.entries()) {
      const host = index === 0 ? wide : narrow;
      const description = `http://${address.replace(/\d+$/, "1")}:${PORT}/rootDesc.xml`;
      await agent.listen({ tcp: [9001] });
      const told = index === 0 ? [] : ["-u", description];
      const said = await host.exec("upnpc", ...told, "-a", "@", "9001", `1900${index + 1}`, "TCP", "600");
      if (index === 0) expect(said).toContain(`desc: ${description}`);
      expect(said).toContain(`external ${WAN_GATEWAY}:1900${index + 1} TCP is redirected to internal ${address}:9001`);
      // Answers of a narrow tunnel's device to a stranger would leave by its own way out.
      if (index === 0) {
        const reached = await internet.tcp({ host: WAN_GATEWAY, port: 19001, payload: "through the tunnel" });
        expect(reached).toMatchObject({ payload: "through the tunnel" });
      }
      const list = await host.exec("upnpc", "-u", description, "-l");
      expect(list).toMatch(new RegExp(` 0 TCP 1900${index + 1}->${address}:9001 `));
      expect(list, "what is of the other").not.toContain(" 1 TCP");
      await host.exec("upnpc", "-u", description, "-d", `1900${index + 1}`, "TCP");
    }
  } finally {
    await Promise.all(up.map((each) => each.down()));
  }
}
