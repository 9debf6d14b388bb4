import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { batch, type Host } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

const ADVERTISE = fileURLToPath(new URL("programs/router-advertisement.py", import.meta.url));
/** What the provider gives a small VPS: one network, on its link. */
const ON_LINK = "2001:db8:5:1::/64";
const ROUTER = "2001:db8:5:1::1";
/** Further out in the internet. */
const STRANGER = "2001:db8:ffff::53";
/** The part of it that a refusal proposes. */
const PART = "2001:db8:5:1:59::/80";

const TUNNEL = tunnelName();
const options = {
  needs: ["wg", "wg-quick", "wireguard-go", "python3", "ping"],
  peers: 2,
  timeoutMs: 120_000,
  config: { lan: [{ interface: "lan0" }], wireguard: { interface: TUNNEL } },
};

/** The machine's IPv6 default routes, and for how long a router has promised them. */
async function defaults(host: Host): Promise<{ dev: string; protocol: string; expires: number }[]> {
  return JSON.parse(await host.exec("ip", "-6", "-json", "route", "show", "default"));
}

const advertise = (lab: Lab, lifetime: number): Promise<string> =>
  lab.topology.internet.exec("/usr/bin/python3", ADVERTISE, "wan0", `${lifetime}`, ON_LINK);

async function sysctl(host: Host, name: string): Promise<string> {
  return (await host.exec("sysctl", "-n", `net.ipv6.conf.${name}`)).trim();
}

async function done(lab: Lab, ...command: string[]): Promise<string> {
  const result = await lab.gateway.cli(...command);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  return result.stdout;
}

/** A VPS with nothing but what its router says, and two devices in its tunnel. */
async function prepare(lab: Lab): Promise<void> {
  const { gateway, internet } = lab.topology;
  await gateway.exec("sysctl", "-qw", "net.ipv6.conf.wan0.dad_transmits=0");
  // A neighbour that is no router any more is nobody's default route (RFC 4861 §7.2.5).
  await internet.exec("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
  await batch(internet.namespace, [
    `address add ${ROUTER}/64 dev wan0 nodad`,
    `address add ${STRANGER}/128 dev lo nodad`,
  ]);
  await done(lab, "device", "add", "nas", "--kind", "server", "--profile", "full");
  await done(lab, "device", "add", "pad");
  // Its link-local address is not to be used before the kernel knows that nobody else has it.
  await eventually(async () => {
    await advertise(lab, 600);
    expect(await defaults(gateway)).toMatchObject([{ dev: "wan0", protocol: "ra" }]);
  }, 10_000);
}

/** `ping`, answered or not. */
const pings = (host: Host, to: string, ...more: string[]): Promise<boolean> =>
  host.exec("ping", "-6", "-c", "1", "-W", "1", ...more, to).then(
    () => true,
    () => false,
  );

/** Echo requests that have come to a host over IPv6. */
async function echoes(host: Host): Promise<number> {
  const counters = await host.exec("cat", "/proc/net/snmp6");
  return Number(/^Icmp6InEchos\s+(\d+)/m.exec(counters)?.[1]);
}

scenario("[W7] a VPS with one on-link /64 gives a part of it to its devices", options, async (lab) => {
  const { gateway, internet, peers } = lab.topology;
  const [nasHost, padHost] = peers;
  if (nasHost === undefined || padHost === undefined) throw new Error("no peers");
  await prepare(lab);
  expect([await sysctl(gateway, "all.forwarding"), await sysctl(gateway, "wan0.accept_ra")]).toEqual(["0", "1"]);

  // The whole of it is the WAN's own; once that is known, a part is proposed.
  await eventually(async () => {
    const refused = await lab.gateway.cli("subnet", "edit", "home", "--ipv6", ON_LINK);
    expect(refused.stderr).toContain(`as in ${PART}`);
  }, 15_000);
  const planned = await lab.gateway.cli("plan", "subnet", "edit", "home", "--ipv6", PART);
  for (const row of ["all.forwarding", "wan0.accept_ra", "all.proxy_ndp"]) {
    expect(planned.stdout).toContain(`net.ipv6.conf.${row}`);
  }
  await done(lab, "subnet", "edit", "home", "--ipv6", PART);

  // The kernel forwards, and still listens to its router.
  expect([await sysctl(gateway, "all.forwarding"), await sysctl(gateway, "wan0.accept_ra")]).toEqual(["1", "2"]);
  expect(await defaults(gateway)).toMatchObject([{ dev: "wan0", protocol: "ra" }]);
  await advertise(lab, 1800);
  await eventually(async () => expect((await defaults(gateway))[0]?.expires).toBeGreaterThan(600));

  const devices = await lab.gateway.json<{ name: string; ipv6: string }[]>("device", "list");
  const [nas = "", pad = ""] = ["nas", "pad"].map((name) => devices.find((each) => each.name === name)?.ipv6);
  const up = await Promise.all([
    TunnelPeer.up(nasHost, lab.gateway, "nas"),
    TunnelPeer.up(padHost, lab.gateway, "pad", "--profile", "split"),
  ]);
  try {
    const [peer] = up;
    await lab.internet.listen({ tcp: [9002], address: "::" });
    await peer.agent.listen({ tcp: [9001], address: "::" });
    // The stranger sees the device's own address, and finds the way back by asking on the link.
    const out = await peer.agent.tcp({ host: STRANGER, port: 9002, payload: "out", timeoutMs: 5000 });
    expect(out).toMatchObject({ sawAddress: nas, payload: "out" });
    // RFC 4861 §7.3.3: a router asks the address itself whether it is still there.
    await internet.exec("ip", "neigh", "change", nas, "dev", "wan0", "nud", "probe");
    await eventually(async () => {
      expect(await internet.exec("ip", "neigh", "show", nas)).toContain("REACHABLE");
    });

    // Nobody out there begins a flow; a ping is answered (RFC 4890), and no forged one arrives.
    expect(await lab.internet.refusedTcp({ host: nas, port: 9001 })).not.toBeNull();
    expect(await pings(padHost, nas)).toBe(true);
    const before = await echoes(nasHost);
    await batch(internet.namespace, [`address add ${pad}/128 dev lo nodad`]);
    expect(await pings(internet, nas, "-I", pad)).toBe(false);
    await batch(internet.namespace, [`address del ${pad}/128 dev lo`]);
    expect(await pings(internet, nas)).toBe(true);
    expect(await echoes(nasHost)).toBe(before + 1);
    // Among the devices everything goes, but from one's own address only.
    expect(await pings(nasHost, pad)).toBe(true);
    const arrived = await echoes(padHost);
    const forged = "2001:db8:5:1:59::a3b:63";
    await batch(nasHost.namespace, [`address add ${forged}/128 dev lo nodad`]);
    expect(await pings(nasHost, pad, "-I", forged)).toBe(false);
    expect(await echoes(padHost)).toBe(arrived);

    expect(await done(lab, "why", "neighbour", nas)).toContain("nas");
    expect(await done(lab, "doctor")).toContain(`the subnet home has ${PART}, a part of the network at wan0`);

    await done(lab, "subnet", "edit", "home", "--ipv6", "none");
    expect(await gateway.exec("ip", "-6", "neigh", "show", "proxy")).toBe("");
    expect(await gateway.exec("ip", "-6", "address", "show", "dev", TUNNEL)).not.toContain("2001:db8");
    expect(await pings(internet, nas)).toBe(false);
    // What was set stays: another program may rely on it by now.
    expect([await sysctl(gateway, "all.forwarding"), await sysctl(gateway, "wan0.accept_ra")]).toEqual(["1", "2"]);
    expect(await defaults(gateway)).toMatchObject([{ dev: "wan0", protocol: "ra" }]);
  } finally {
    for (const peer of up) await peer.down();
  }
});
