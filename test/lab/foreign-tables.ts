import { findProgram, type Host } from "./topology.mjs";

/** Tables as others make them: an admin's plain one, and one whose sets fill from packets, as fail2ban and Tailscale do. */
const FOREIGN = `
table inet admin {
  set allowed { type ipv4_addr; elements = { 10.1.2.3, 10.1.2.4 } }
  chain input {
    type filter hook input priority 10; policy accept;
    ip saddr @allowed tcp dport 9 counter accept
  }
}
table inet watcher {
  set seen { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1h; elements = { 10.9.9.9 } }
  map gates { type ipv4_addr : verdict; elements = { 10.9.9.8 : drop } }
  chain input {
    type filter hook input priority 20; policy accept;
    udp dport 9 update @seen { ip saddr }
    ip saddr vmap @gates
  }
}`;

/** What iptables-nft makes, where that is not installed: its chains and names, its rules as native expressions. */
const IPTABLES_LIKE = `
table ip filter {
  chain INPUT { type filter hook input priority filter; policy accept; tcp dport 9 counter accept; }
  chain FORWARD { type filter hook forward priority filter; policy accept; counter jump DOCKER-USER; }
  chain DOCKER-USER { counter return; }
}
table ip nat {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 172.17.0.0/16 counter masquerade; }
}`;

export async function makeForeignTables(gateway: Host): Promise<void> {
  await gateway.exec("nft", FOREIGN);
  const iptables = findProgram("iptables-nft");
  if (iptables === null) {
    await gateway.exec("nft", IPTABLES_LIKE);
    return;
  }
  const rules = [
    "-A INPUT -p tcp --dport 9 -m comment --comment admin -j ACCEPT",
    "-N DOCKER-USER",
    "-A DOCKER-USER -j RETURN",
    "-A FORWARD -j DOCKER-USER",
    "-t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE",
  ];
  for (const rule of rules) await gateway.exec(iptables, ...rule.split(" "));
}

/** Each table that is not Portreeve's, without counters and timers, by name. */
export async function listForeignTables(gateway: Host): Promise<Record<string, string>> {
  const tables = (await gateway.exec("nft", "list", "tables")).split("\n").map((line) => line.split(" ").slice(1));
  const listed: Record<string, string> = {};
  for (const [family, name] of tables) {
    if (family === undefined || name === undefined || name.startsWith("portreeve")) continue;
    listed[`${family} ${name}`] = await gateway.exec("nft", "-s", "list", "table", family, name);
  }
  return listed;
}
