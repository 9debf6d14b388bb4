import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, type KeyPair, publicKeyOf } from "../../src/adapters/wireguard/keys.ts";
import { Secret } from "../../src/events/secret.ts";
import type { Desired } from "../../src/reconcilers/contract.ts";
import type { WireguardRow } from "../../src/reducers/select/rows.ts";
import { Agent } from "./agent.mjs";
import { eventually } from "./lab.ts";
import { createTopology, findProgram, type Host, missingForLab, type Topology, WAN_GATEWAY } from "./topology.mjs";
import { desired, WireguardDriver } from "./wireguard-driver.ts";

const INSTANCE = "0011223344556677";
const OTHER_INSTANCE = "8899aabbccddeeff";
/** wireguard-go's sockets are files, and network namespaces share those: the names are our own. */
const GATEWAY_INTERFACE = `wgg${process.pid}`;
const PEER_INTERFACE = `wgp${process.pid}`;
const PORT = 51820;
const TUNNEL = { gateway: "10.59.7.1", peer: "10.59.7.2" };
/** How soon what others did to a tunnel is mended, on a machine that is busy with other labs. */
const MENDED_WITHIN_MS = 10_000;
/** A program that does not answer is asked twice, 5 s each, before it is taken for dead. */
const HANG_NOTICED_WITHIN_MS = 60_000;
const OTHERS = 200;

const missing = missingForLab() ?? ["wg", "wireguard-go"].find((program) => findProgram(program) === null) ?? null;
const textOf = (secret: Secret): string => Buffer.from(secret.expose()).toString();

describe.skipIf(missing !== null)("keys", () => {
  it("are those that wg makes of them", () => {
    for (let round = 0; round < 20; round += 1) {
      const { publicKey, privateKey } = generateKeyPair();
      expect(
        execFileSync("wg", ["pubkey"], { input: textOf(privateKey) })
          .toString()
          .trim(),
      ).toBe(publicKey);
      const theirs = execFileSync("wg", ["genkey"]).toString().trim();
      const expected = execFileSync("wg", ["pubkey"], { input: theirs }).toString().trim();
      expect(publicKeyOf(new Secret(theirs))).toBe(expected);
    }
  });
});

describe.skipIf(missing !== null)("our WireGuard interface", { timeout: 120_000 }, () => {
  let topology: Topology;
  let gateway: Host;
  let peer: Host;
  let driver: WireguardDriver;
  let ours: KeyPair;
  let theirs: KeyPair;
  let psk: Secret;
  const agents: Agent[] = [];

  const link = (more: Partial<Extract<WireguardRow, { kind: "link" }>> = {}): Desired<WireguardRow> =>
    desired({
      kind: "link",
      interface: GATEWAY_INTERFACE,
      listenPort: PORT,
      publicKey: ours.publicKey,
      privateKeySecret: "s-link",
      ...more,
    });
  const device = (publicKey: string, address: string, presharedKeySecret: string | null = "s-psk") =>
    desired({ kind: "peer", publicKey, presharedKeySecret, allowedIps: [`${address}/32`] });
  const others = Array.from({ length: OTHERS }, (_, index) => ({
    publicKey: generateKeyPair().publicKey,
    address: `10.59.${8 + (index >> 7)}.${1 + (index & 127)}`,
  }));
  const otherRows = (count: number): Desired<WireguardRow>[] =>
    others.slice(0, count).map(({ publicKey, address }) => device(publicKey, address));
  const base = (): Desired<WireguardRow>[] => [link(), device(theirs.publicKey, TUNNEL.peer)];

  const wg = (host: Host, ...args: string[]): Promise<string> => host.exec("wg", ...args);
  const dump = async (): Promise<string[][]> =>
    (await wg(gateway, "show", GATEWAY_INTERFACE, "dump"))
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
  const peersShown = async (): Promise<string[]> =>
    (await dump())
      .slice(1)
      .map(([publicKey = ""]) => publicKey)
      .sort();
  /** Ours, of this namespace: `wg show interfaces` lists the sockets of all. */
  const interfaces = async (): Promise<string[]> =>
    JSON.parse(await gateway.exec("ip", "-json", "link"))
      .map(({ ifname }: { ifname: string }) => ifname)
      .filter((name: string) => name.startsWith("wg"));
  const indexOf = async (name: string): Promise<number> =>
    JSON.parse(await gateway.exec("ip", "-json", "link", "show", "dev", name))[0].ifindex;
  /** What serves the gateway's interface. */
  const servedBy = async (): Promise<number> => {
    const pids = (await gateway.exec("pgrep", "-f", `^wireguard-go ${GATEWAY_INTERFACE}$`)).trim().split("\n");
    expect(pids).toHaveLength(1);
    return Number(pids[0]);
  };
  const wanted = async (rows: readonly Desired<WireguardRow>[]): Promise<void> => {
    expect(await driver.settled(await driver.want(rows))).toEqual({});
  };
  /** Addresses are another reconciler's; here they are the test's. */
  const address = async (): Promise<void> => {
    await gateway.exec("ip", "address", "replace", `${TUNNEL.gateway}/24`, "dev", GATEWAY_INTERFACE);
  };
  /** Everything that is managed is as wanted again, and is not a moment later something else. */
  const mended = async (): Promise<void> => {
    await eventually(async () => {
      const [device, ...shown] = await dump();
      expect(device?.slice(0, 3)).toEqual([textOf(ours.privateKey), ours.publicKey, String(PORT)]);
      expect(shown.map((fields) => [fields[0], fields[1], fields[3]])).toEqual([
        [theirs.publicKey, textOf(psk), `${TUNNEL.peer}/32`],
      ]);
      expect(await gateway.exec("ip", "link", "show", "up", "dev", GATEWAY_INTERFACE)).toContain(GATEWAY_INTERFACE);
    }, MENDED_WITHIN_MS);
  };
  const agentOn = (host: Host): Agent => {
    const agent = new Agent(host);
    agents.push(agent);
    return agent;
  };
  /** A peer on the internet, configured by hand. It asks for nothing by itself: no keepalive. */
  const connectPeer = async (): Promise<void> => {
    await peer.exec("wireguard-go", PEER_INTERFACE);
    const config = `[Interface]\nPrivateKey = ${textOf(theirs.privateKey)}\n[Peer]\nPublicKey = ${ours.publicKey}\nPresharedKey = ${textOf(psk)}\nAllowedIPs = 10.59.7.0/24\nEndpoint = ${WAN_GATEWAY}:${PORT}\n`;
    await peer.exec("bash", "-c", `printf '%s' '${config}' | wg setconf ${PEER_INTERFACE} /dev/stdin`);
    await peer.exec("ip", "address", "add", `${TUNNEL.peer}/24`, "dev", PEER_INTERFACE);
    await peer.exec("ip", "link", "set", PEER_INTERFACE, "up");
  };
  const start = async (rows = base()): Promise<void> => {
    driver = new WireguardDriver(gateway, INSTANCE);
    await driver.seal("s-link", ours.privateKey);
    await driver.seal("s-psk", psk);
    const seq = await driver.want(rows);
    await driver.start();
    expect(await driver.settled(seq)).toEqual({});
  };

  beforeEach(async () => {
    topology = await createTopology({ clients: 0 });
    [gateway, peer] = [topology.gateway, topology.internet];
    [ours, theirs, psk] = [generateKeyPair(), generateKeyPair(), generatePresharedKey()];
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    await driver.kill();
    await topology.close();
  });

  it("brings a peer in: handshake, traffic, and what it did is known", async () => {
    await start();
    await address();
    await connectPeer();
    const before = Date.now();
    await peer.exec("ping", "-c", "3", "-i", "0.2", "-W", "5", TUNNEL.gateway);
    await eventually(async () => {
      const activity = await driver.activity(theirs.publicKey);
      expect(activity?.endpoint).toMatch(/^11\.22\.33\.2:\d+$/);
      expect(activity?.received).toBeGreaterThan(3 * 84);
      // The kernel stamps whole seconds.
      expect(activity?.handshakeAt).toBeGreaterThanOrEqual(before - 2000);
      expect(activity?.handshakeAt).toBeLessThanOrEqual(Date.now() + 2000);
      const slots = (await driver.history(theirs.publicKey, "quarter-hour"))?.slots ?? [];
      expect(slots.reduce((sum, { received }) => sum + received, 0)).toBeGreaterThan(3 * 84);
    });
  });

  it("keeps a connection through 200 other peers that come and go, and is never made anew", async () => {
    await start();
    await address();
    await connectPeer();
    await agentOn(gateway).listen({ tcp: [7000] });
    const client = agentOn(peer);
    await client.openStream("through", { host: TUNNEL.gateway, port: 7000, timeoutMs: 10_000 });
    const [index, pid] = [await indexOf(GATEWAY_INTERFACE), await servedBy()];
    let going = true;
    let said = 0;
    const talking = (async () => {
      while (going) {
        await client.say("through", `word ${said}`, 1000);
        said += 1;
      }
    })();
    for (const count of [OTHERS, OTHERS / 2, 0, OTHERS, 0]) {
      await wanted([...base(), ...otherRows(count)]);
      expect(await peersShown()).toEqual(
        [theirs.publicKey, ...others.slice(0, count).map(({ publicKey }) => publicKey)].sort(),
      );
    }
    going = false;
    await talking;
    expect(said).toBeGreaterThan(5);
    expect([await indexOf(GATEWAY_INTERFACE), await servedBy()]).toEqual([index, pid]);
    expect((await driver.passes()).filter(({ driftBy }) => driftBy !== null)).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["a peer removed", () => wg(gateway, "set", GATEWAY_INTERFACE, "peer", theirs.publicKey, "remove")],
    [
      "a peer added",
      () => wg(gateway, "set", GATEWAY_INTERFACE, "peer", others[0]?.publicKey ?? "", "allowed-ips", "10.9.9.9/32"),
    ],
    [
      "a peer's addresses changed",
      () => wg(gateway, "set", GATEWAY_INTERFACE, "peer", theirs.publicKey, "allowed-ips", "10.9.9.9/32"),
    ],
    [
      "a peer's preshared key changed",
      () =>
        gateway.exec(
          "bash",
          "-c",
          `wg genpsk | (cat >/dev/shm/${GATEWAY_INTERFACE}; wg set ${GATEWAY_INTERFACE} peer ${theirs.publicKey} preshared-key /dev/shm/${GATEWAY_INTERFACE}; rm /dev/shm/${GATEWAY_INTERFACE})`,
        ),
    ],
    [
      "a peer's preshared key taken away",
      () => wg(gateway, "set", GATEWAY_INTERFACE, "peer", theirs.publicKey, "preshared-key", "/dev/null"),
    ],
    [
      "our own key changed",
      () =>
        gateway.exec(
          "bash",
          "-c",
          `wg genkey | (cat >/dev/shm/${GATEWAY_INTERFACE}; wg set ${GATEWAY_INTERFACE} private-key /dev/shm/${GATEWAY_INTERFACE}; rm /dev/shm/${GATEWAY_INTERFACE})`,
        ),
    ],
    ["the port changed", () => wg(gateway, "set", GATEWAY_INTERFACE, "listen-port", "51999")],
    ["the interface taken down", () => gateway.exec("ip", "link", "set", GATEWAY_INTERFACE, "down")],
    ["the interface removed", () => gateway.exec("ip", "link", "del", GATEWAY_INTERFACE)],
    ["wireguard-go killed", async () => gateway.exec("kill", "-9", String(await servedBy()))],
    ["wireguard-go's socket removed", () => gateway.exec("rm", `/var/run/wireguard/${GATEWAY_INTERFACE}.sock`)],
  ])("is mended: %s", async (what, harm) => {
    await start();
    await mended();
    await harm();
    const harmed = performance.now();
    await eventually(async () => {
      expect((await driver.passes()).some(({ driftBy }) => driftBy !== null)).toBe(true);
    }, MENDED_WITHIN_MS);
    await mended();
    console.log(`${what}: mended within ${Math.round(performance.now() - harmed)} ms`);
  });

  it("is mended when wireguard-go hangs", async () => {
    await start();
    const pid = await servedBy();
    await gateway.exec("kill", "-STOP", String(pid));
    await eventually(async () => expect(await servedBy()).not.toBe(pid), HANG_NOTICED_WITHIN_MS);
    await mended();
  });

  it("greets its peers when it was made anew: nobody waits until a peer finds out", async () => {
    await start();
    await address();
    await connectPeer();
    await agentOn(gateway).listen({ tcp: [7000] });
    const client = agentOn(peer);
    await client.openStream("through", { host: TUNNEL.gateway, port: 7000, timeoutMs: 10_000 });
    await eventually(async () => expect((await driver.activity(theirs.publicKey))?.endpoint).not.toBeNull());
    await gateway.exec("kill", "-9", String(await servedBy()));
    // The peer does not send a byte. It would notice by itself 15 s after its first packet without an answer.
    await eventually(async () => {
      await address();
      const [, shown] = await dump();
      expect(shown?.[2]).toMatch(/^11\.22\.33\.2:/);
      expect(Number(shown?.[4])).toBeGreaterThan(0);
      expect(shown?.[7]).toBe("off");
    }, MENDED_WITHIN_MS);
    expect((await client.say("through", "still here", 5000)).payload).toBe("still here");
  });

  it("outlives its controller, is not touched by the next one, and holds none of our files", async () => {
    driver = new WireguardDriver(gateway, INSTANCE);
    const leaked = await driver.leak();
    await driver.seal("s-link", ours.privateKey);
    await driver.seal("s-psk", psk);
    await driver.want(base());
    await driver.start();
    await mended();
    const [index, pid] = [await indexOf(GATEWAY_INTERFACE), await servedBy()];
    const held = await gateway.exec("ls", "-l", `/proc/${pid}/fd`);
    expect(held).not.toContain(leaked);
    await driver.kill();
    await start();
    expect([await indexOf(GATEWAY_INTERFACE), await servedBy()]).toEqual([index, pid]);
    const [first] = await driver.passes();
    expect(first).toMatchObject({ created: 0, updated: 0, deleted: 0, failed: 0 });
  });

  it("changes its port, its key and its name", async () => {
    await start();
    await driver.seal("s-new", theirs.privateKey);
    const index = await indexOf(GATEWAY_INTERFACE);
    await wanted([link({ listenPort: 51821, publicKey: theirs.publicKey, privateKeySecret: "s-new" })]);
    expect((await dump())[0]?.slice(1, 3)).toEqual([theirs.publicKey, "51821"]);
    expect(await indexOf(GATEWAY_INTERFACE)).toBe(index);
    const renamed = `${GATEWAY_INTERFACE}n`;
    await wanted([link({ interface: renamed }), device(theirs.publicKey, TUNNEL.peer)]);
    expect(await interfaces()).toEqual([renamed]);
    expect(await wg(gateway, "show", renamed, "public-key")).toBe(`${ours.publicKey}\n`);
  });

  it("goes when nothing is on it, with the program that served it", async () => {
    await start();
    const pid = await servedBy();
    await wanted([]);
    expect(await interfaces()).toEqual([]);
    await expect(gateway.exec("cat", `/proc/${pid}/cmdline`).catch(() => "")).resolves.toBe("");
    await expect(gateway.exec("ls", `/var/run/wireguard/${GATEWAY_INTERFACE}.sock`)).rejects.toThrow();
  });

  it("goes at a teardown, whoever made it in this instance's name", async () => {
    await start();
    await driver.kill();
    driver = new WireguardDriver(gateway, INSTANCE);
    await driver.teardown();
    expect(await interfaces()).toEqual([]);
  });

  it("leaves an interface of its name alone that is not ours, and says so", async () => {
    await gateway.exec("ip", "link", "add", GATEWAY_INTERFACE, "type", "bridge");
    driver = new WireguardDriver(gateway, INSTANCE);
    await driver.seal("s-link", ours.privateKey);
    const seq = await driver.want([link()]);
    await driver.start();
    expect(await driver.settled(seq)).toMatchObject({ link: { code: "CONFLICT", disposition: "terminal" } });
    expect(await gateway.exec("ip", "-d", "link", "show", GATEWAY_INTERFACE)).toContain("bridge");
    await gateway.exec("ip", "link", "del", GATEWAY_INTERFACE);
  });

  it("takes over what another instance made, without making it anew", async () => {
    driver = new WireguardDriver(gateway, OTHER_INSTANCE);
    await driver.seal("s-link", ours.privateKey);
    await driver.seal("s-psk", psk);
    const seq = await driver.want(base());
    await driver.start();
    expect(await driver.settled(seq)).toEqual({});
    await driver.close();
    const index = await indexOf(GATEWAY_INTERFACE);
    driver = new WireguardDriver(gateway, INSTANCE);
    expect(await driver.observe()).toEqual({});
    await driver.takeOver(OTHER_INSTANCE);
    expect(Object.keys(await driver.observe()).sort()).toEqual(["link", `peer|${theirs.publicKey}`].sort());
    expect(await indexOf(GATEWAY_INTERFACE)).toBe(index);
  });

  it("goes on with an interface that it had made and not yet marked when it was killed", async () => {
    await gateway.exec("wireguard-go", GATEWAY_INTERFACE);
    const index = await indexOf(GATEWAY_INTERFACE);
    await start();
    await mended();
    expect(await indexOf(GATEWAY_INTERFACE)).toBe(index);
  });

  it("says which port another program has", async () => {
    await peer.exec("true");
    const holder = gateway.spawn(
      [
        "python3",
        "-c",
        `import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("",${PORT})); print("bound",flush=True); time.sleep(600)`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise((resolve) => holder.stdout?.once("data", resolve));
    driver = new WireguardDriver(gateway, INSTANCE);
    await driver.seal("s-link", ours.privateKey);
    const seq = await driver.want([link()]);
    await driver.start();
    expect(await driver.settled(seq)).toMatchObject({ link: { code: "EADDRINUSE" } });
    holder.kill("SIGKILL");
    await eventually(
      async () => expect((await dump())[0]?.slice(1, 3)).toEqual([ours.publicKey, String(PORT)]),
      MENDED_WITHIN_MS,
    );
  });

  it("says that another program has its name, of another namespace too: wireguard-go's sockets are files", async () => {
    await peer.exec("wireguard-go", GATEWAY_INTERFACE);
    driver = new WireguardDriver(gateway, INSTANCE);
    await driver.seal("s-link", ours.privateKey);
    const seq = await driver.want([link()]);
    await driver.start();
    expect(await driver.settled(seq)).toMatchObject({
      link: { code: "EADDRINUSE", message: expect.stringContaining("wireguard.interface") },
    });
    await peer.exec("ip", "link", "del", GATEWAY_INTERFACE);
    await eventually(async () => expect((await dump())[0]?.[1]).toBe(ours.publicKey), MENDED_WITHIN_MS);
  });

  it("takes a thousand peers in one pass", async () => {
    await start();
    const many = Array.from({ length: 1000 }, (_, index) =>
      device(generateKeyPair().publicKey, `10.60.${index >> 8}.${index & 255}`),
    );
    await wanted([...base(), ...many]);
    expect(await peersShown()).toHaveLength(1001);
    const busy = (await driver.passes()).filter(({ created }) => created === 1000);
    expect(busy).toHaveLength(1);
    console.log(`1,000 peers in ${Math.round(busy[0]?.durationMs ?? 0)} ms`);
    await wanted(base());
    await mended();
  });
});
