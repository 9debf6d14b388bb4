// What other firewalls say of their rules: iptables-save, and chains in nft's JSON; and any packet's way through them.
import { ok } from "node:assert";
import { decoded, words } from "./loading.mjs";

const SAVED = words(
  "*filter\n",
  "*nat\n",
  "COMMIT\n",
  ":FORWARD DROP [0:0]\n",
  ":a - [0:0]\n",
  "-A FORWARD ",
  "-A a ",
  "-j ACCEPT\n",
  "-j DROP\n",
  "-j RETURN\n",
  "-j a\n",
  "-g a\n",
  "! ",
  "-i lan+ ",
  "-s 10.0.0.0/8 ",
  "-p tcp -m tcp --dport 1:443 ",
  "-m conntrack --ctstate NEW,DNAT ",
  "-m connmark --mark 0x1/0x1 ",
  "-m conntrack --ctstate ESTABLISHED --ctdir REPLY ",
  ":INPUT DROP [0:0]\n",
  "-A INPUT ",
  "-m limit --limit 3/min ",
  '-m comment --comment "',
  "\\",
  '"',
);
const LISTED = words(
  '{"nftables":[',
  '{"chain":{"family":"ip","table":"t","name":"c","type":"filter","hook":"forward","prio":0,"policy":"drop"}}',
  '{"rule":{"family":"ip","table":"t","chain":"c","handle":3,"expr":[',
  '{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"lan0"}}',
  '{"match":{"op":"!=","left":{"&":[{"ct":{"key":"mark"}},1]},"right":0}}',
  '{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["new"]}}',
  '{"match":{"op":"in","left":{"ct":{"key":"status"}},"right":"dnat"}}',
  '{"match":{"op":"==","left":{"ct":{"key":"direction"}},"right":"reply"}}',
  '"hook":"input"',
  '{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["new",{"drop":null}]]}}}',
  '{"accept":null}',
  '{"drop":null}',
  '{"jump":{"target":"c"}}',
  '{"xt":null}',
  '"right":{"set":[1,{"range":[2,3]}]}',
  '"right":"@set"',
  '{"prefix":{"addr":"10.0.0.0","len":8}}',
  "null",
  "[]",
  "]}}",
  "]}",
  ",",
);

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function firewallTargets(load) {
  /** @type {typeof import("../../../src/protocols/iptables-save/chains.ts")} */
  const { decodeIptablesSave } = await load("protocols/iptables-save/chains");
  /** @type {typeof import("../../../src/protocols/iptables-save/rule.ts")} */
  const { IptablesSaveError } = await load("protocols/iptables-save/rule");
  /** @type {typeof import("../../../src/protocols/nftables-json/filter-chain.ts")} */
  const { decodeFilterChains } = await load("protocols/nftables-json/filter-chain");
  /** @type {typeof import("../../../src/protocols/nftables-json/listing.ts")} */
  const { NftablesJsonError } = await load("protocols/nftables-json/listing");
  /** @type {typeof import("../../../src/reducers/doctor/firewalls.ts")} */
  const { judgeFirewalls } = await load("reducers/doctor/firewalls");
  /** @type {typeof import("../../../src/reducers/doctor/exception.ts")} */
  const { exceptionLines } = await load("reducers/doctor/exception");

  /** @param {readonly import("../../../src/lib/packet-filter.ts").FilterChain[]} chains */
  const judged = (chains) => {
    const [wan, lan, address] = ["wan0", "lan0", "192.168.7.1"];
    const service = /** @type {const} */ ({ name: "port control", protocol: "udp", port: 5351, tracked: false });
    const target = { internalAddress: "192.168.7.2", internalPort: 443, interface: lan };
    const findings = judgeFirewalls({
      chains,
      configured: [],
      served: {
        wans: [wan],
        inside: [{ interface: lan, address, kind: "wireguard" }],
        services: [{ ...service, interface: lan, address }],
        forwards: [{ protocol: "tcp", address: "192.168.7.2", port: 443, interface: lan }],
        proxied: [{ interface: wan, address: "11.22.33.1", port: 60443, targets: [target] }],
        forwardMark: 1,
      },
    });
    ok(findings.length > 0, "nothing was said");
    for (const { exception } of findings) if (exception !== null) ok(exceptionLines(exception).length > 0);
    return chains.length > 0;
  };
  return [
    {
      name: "iptables-save",
      dictionary: SAVED,
      bytesMax: 2048,
      check: (bytes) => {
        const read = () => decodeIptablesSave(bytes.toString(), "ip", "iptables-nft");
        const chains = decoded(IptablesSaveError, read);
        return chains === undefined ? false : judged(chains);
      },
    },
    {
      name: "nftables-chains",
      dictionary: LISTED,
      bytesMax: 4096,
      check: (bytes) => {
        const chains = decoded(NftablesJsonError, () => decodeFilterChains(bytes.toString()));
        return chains === undefined ? false : judged(chains);
      },
    },
  ];
}
