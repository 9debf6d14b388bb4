import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../src/adapters/wireguard/keys.ts";
import { type ClientProfile, renderClientConfig } from "../../src/protocols/wireguard-config/client-config.ts";
import { createTopology, findProgram, type Host, missingForLab, type Topology, WAN_GATEWAY } from "./topology.mjs";
import { desired, WireguardDriver } from "./wireguard-driver.ts";

/** wireguard-go's sockets are files, and network namespaces share those: the names are our own. */
const GATEWAY_INTERFACE = `wgq${process.pid}`;
const DEVICE_INTERFACE = `wgd${process.pid}`;
const GATEWAY = { ipv4: "10.59.7.1", ipv6: "fd12:3456:789a:1::1" };
const DEVICE = { ipv4: "10.59.7.2", ipv6: "fd12:3456:789a:1::a3b:702" };
/** Somebody on the internet, as a forward that keeps the client's address shows them. */
const STRANGER = { ipv4: "198.51.100.7", ipv6: "2001:db8::7" };
const missing = missingForLab() ?? ["wg-quick", "wireguard-go"].find((name) => findProgram(name) === null) ?? null;

describe.skipIf(missing !== null)("a device that wg-quick sets up from its configuration", { timeout: 60_000 }, () => {
  let topology: Topology;
  let gateway: Host;
  let device: Host;
  let driver: WireguardDriver;
  let folder: string;
  let file: string;
  const [ours, theirs, psk] = [generateKeyPair(), generateKeyPair(), generatePresharedKey()];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "portreeve-wg-"));
    file = join(folder, `${DEVICE_INTERFACE}.conf`);
    topology = await createTopology({ clients: 0 });
    [gateway, device] = [topology.gateway, topology.internet];
    driver = new WireguardDriver(gateway, "0011223344556677");
    await driver.seal("s-link", ours.privateKey);
    await driver.seal("s-psk", psk);
    const rows = [
      desired({
        kind: "link",
        interface: GATEWAY_INTERFACE,
        listenPort: 51820,
        publicKey: ours.publicKey,
        privateKeySecret: "s-link",
      }),
      desired({
        kind: "peer",
        publicKey: theirs.publicKey,
        presharedKeySecret: "s-psk",
        allowedIps: [`${DEVICE.ipv4}/32`, `${DEVICE.ipv6}/128`],
      }),
    ];
    const seq = await driver.want(rows);
    await driver.start();
    expect(await driver.settled(seq)).toEqual({});
    for (const address of [`${GATEWAY.ipv4}/24`, `${GATEWAY.ipv6}/64`]) {
      await gateway.exec(
        "ip",
        "address",
        "add",
        address,
        "dev",
        GATEWAY_INTERFACE,
        ...(address.includes(":") ? ["nodad"] : []),
      );
    }
    await gateway.exec("ip", "address", "add", `${STRANGER.ipv4}/32`, "dev", "lo");
    await gateway.exec("ip", "address", "add", `${STRANGER.ipv6}/128`, "dev", "lo", "nodad");
  });
  afterEach(async () => {
    await driver.kill();
    await topology.close();
    rmSync(folder, { recursive: true });
  });

  const up = async (profile: ClientProfile): Promise<void> => {
    const text = renderClientConfig({
      profile,
      deviceName: "nas",
      address: DEVICE.ipv4,
      subnet: `${GATEWAY.ipv4}/24`,
      ipv6: { address: DEVICE.ipv6, prefix: "fd12:3456:789a:1::/64" },
      privateKey: textOf(theirs.privateKey),
      presharedKey: textOf(psk),
      serverPublicKey: ours.publicKey,
      endpoint: `${WAN_GATEWAY}:51820`,
      // wg-quick would change the machine's resolver.
      dns: null,
    });
    writeFileSync(file, text, { mode: 0o600 });
    await device.exec("wg-quick", "up", file);
  };
  const down = (): Promise<string> => device.exec("wg-quick", "down", file);
  const reached = async (from: Host, to: string, source?: string): Promise<boolean> =>
    await from
      .exec("ping", "-c", "3", "-i", "0.3", "-W", "2", ...(source === undefined ? [] : ["-I", source]), to)
      .then(
        () => true,
        () => false,
      );
  /** By what interface a packet leaves the device. */
  const leavesBy = async (to: string): Promise<string> => {
    const found = await device.exec("ip", "-json", "route", "get", to).catch(() => "[{}]");
    return JSON.parse(found)[0].dev ?? "nowhere";
  };
  const rulesAndRoutes = async (): Promise<string> =>
    (
      await Promise.all(
        ["-4", "-6"].flatMap((family) => [
          device.exec("ip", family, "rule"),
          device.exec("ip", family, "route", "show", "table", "all"),
        ]),
      )
    )
      .join("")
      .split("\n")
      // The uplink's own link-local address is there once the kernel knows that nobody else has it.
      .filter((line) => !line.includes("fe80:"))
      .join("\n");

  it.each<ClientProfile>(["inbound", "full", "split", "starttunnel"])("reaches the gateway: %s", async (profile) => {
    await up(profile);
    expect(await reached(device, GATEWAY.ipv4)).toBe(true);
    expect(await reached(device, GATEWAY.ipv6)).toBe(true);
  });

  it("is reached by strangers with the profile inbound, over both families, and keeps its own way out", async () => {
    await up("inbound");
    expect(await reached(device, GATEWAY.ipv4)).toBe(true);
    expect(await reached(gateway, DEVICE.ipv4, STRANGER.ipv4)).toBe(true);
    expect(await reached(gateway, DEVICE.ipv6, STRANGER.ipv6)).toBe(true);
    expect(await leavesBy("192.0.2.1")).not.toBe(DEVICE_INTERFACE);
    expect(await leavesBy(WAN_GATEWAY)).toBe("wan0");
  });

  it.each<ClientProfile>(["split", "starttunnel"])("is reached by no stranger with the profile %s", async (profile) => {
    await up(profile);
    expect(await reached(device, GATEWAY.ipv4)).toBe(true);
    expect(await reached(gateway, DEVICE.ipv4, STRANGER.ipv4)).toBe(false);
    expect(await leavesBy("192.0.2.1")).not.toBe(DEVICE_INTERFACE);
  });

  it("sends everything by the tunnel with the profile full", async () => {
    await up("full");
    expect(await leavesBy("192.0.2.1")).toBe(DEVICE_INTERFACE);
    expect(await leavesBy("2001:db8::1")).toBe(DEVICE_INTERFACE);
    expect(await reached(gateway, DEVICE.ipv4, STRANGER.ipv4)).toBe(true);
  });

  it("leaves nothing behind, and comes up again after its end was a crash", async () => {
    const before = await rulesAndRoutes();
    await up("inbound");
    await down();
    expect(await rulesAndRoutes()).toBe(before);
    await up("inbound");
    await device.exec("ip", "link", "del", DEVICE_INTERFACE);
    await up("inbound");
    expect(await reached(gateway, DEVICE.ipv4, STRANGER.ipv4)).toBe(true);
    await down();
    expect(await rulesAndRoutes()).toBe(before);
  });
});
