/** As `nft -j` 1.0.6 on Linux 6.18 printed them, without the head that each listing has. */
const OBJECTS = [
  '{"map": {"family": "inet", "name": "forwards", "table": "portreeve", "type": ["ipv4_addr", "inet_proto", "inet_service"], "handle": 2, "map": "ipv4_addr . inet_service", "elem": [[{"concat": ["11.22.33.1", "tcp", 80]}, {"concat": ["192.168.77.2", 8080]}]]}}',
  '{"map": {"family": "inet", "name": "ranges", "table": "portreeve", "type": ["ipv4_addr", "inet_proto", "inet_service"], "handle": 3, "map": "ipv4_addr", "flags": ["interval"], "elem": [[{"concat": ["11.22.33.1", "udp", {"range": [4000, 4099]}]}, "192.168.77.2"]]}}',
  '{"set": {"family": "inet", "name": "ours", "table": "portreeve", "type": ["inet_proto", "inet_service"], "handle": 5, "elem": [{"concat": ["tcp", 80]}, {"concat": ["udp", 51820]}]}}',
  '{"set": {"family": "inet", "name": "instance", "table": "portreeve", "type": "ipv4_addr", "handle": 1, "elem": [{"elem": {"val": "0.0.0.1", "comment": "00112233aabbccdd"}}]}}',
  '{"chain": {"family": "inet", "table": "portreeve", "name": "shadow", "handle": 11, "type": "filter", "hook": "postrouting", "prio": 101, "policy": "accept"}}, {"rule": {"family": "inet", "table": "portreeve", "chain": "shadow", "handle": 33, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "wan0"}}, {"drop": null}]}}',
];
const HEAD = '{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}';

export const LISTINGS: readonly string[] = OBJECTS.map((objects) => `{"nftables": [${HEAD}, ${objects}]}`);
