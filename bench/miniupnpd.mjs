// The peer: Debian's miniupnpd-nftables, unmodified, on a gateway of its own, set up as its manual says.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The base chains Debian's package documents; miniupnpd adds its rules to the empty ones. */
const NFT = `
table inet filter {
  chain miniupnpd {}
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan0" oifname "wan0" accept
    jump miniupnpd
  }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "wan0" masquerade
  }
}`;

/**
 * @param {import("../test/lab/topology.mjs").Topology} topology
 * @param {string} lanNetwork CIDR that may map ports
 * @param {{ upnp?: boolean }} [more] By UPnP instead of PCP and NAT-PMP.
 */
export async function startMiniupnpd(topology, lanNetwork, { upnp = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-peer-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "miniupnpd.conf");
  writeFileSync(
    file,
    [
      "ext_ifname=wan0",
      "listening_ip=lan0",
      "http_port=5000",
      `enable_natpmp=${upnp ? "no" : "yes"}`,
      `enable_upnp=${upnp ? "yes" : "no"}`,
      "min_lifetime=120",
      "max_lifetime=86400",
      "secure_mode=yes",
      "uuid=1f2d8a3e-7f0f-4c55-9d5d-2a4b8a5f3c11",
      `lease_file=${join(folder, "leases")}`,
      `allow 1024-65535 ${lanNetwork} 1024-65535`,
      "deny 0-65535 0.0.0.0/0 0-65535",
      "",
    ].join("\n"),
  );
  await topology.gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  await topology.gateway.exec("nft", NFT);
  // Not with -d: its debug log costs it most of its speed.
  const pidFile = join(folder, "pid");
  await topology.gateway.exec("miniupnpd", "-f", file, "-P", pidFile);
  // It is there before it is written: a pid of 0 would stand for our own process group.
  const pidOf = () => (existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, "utf8"), 10) : Number.NaN);
  for (let tries = 0; !(pidOf() > 0) && tries < 200; tries += 1) await sleep(10);
  const pid = pidOf();
  if (!(pid > 0)) throw new Error("miniupnpd did not say its pid");
  return {
    pid,
    close() {
      process.kill(pid, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
