import { describe, expect, it } from "vitest";
import type { FilterChain } from "../../../../src/lib/packet-filter.ts";
import { exceptionLines, lastingNote } from "../../../../src/reducers/doctor/exception.ts";
import { judgeFirewalls } from "../../../../src/reducers/doctor/firewalls.ts";
import type { Served, Service } from "../../../../src/reducers/doctor/passages.ts";
import { dropOf, type Packet } from "../../../../src/reducers/doctor/walk.ts";
import { decodeIptablesSave } from "../../../../src/protocols/iptables-save/chains.ts";
import { recorded } from "./recorded.ts";

const service = (name: string, port: number, tracked: boolean): Service => {
  return { name, interface: "lan0", address: "192.168.7.1", protocol: "udp", port, tracked };
};

const SERVED: Served = {
  wans: ["wan0"],
  inside: [{ interface: "lan0", address: "192.168.7.1", kind: "lan" }],
  services: [service("port control", 5351, false), service("DNS", 53, true)],
  forwards: [],
  proxied: [],
  forwardMark: 0x01000000,
};

/** "level message | where | what would be typed". */
function judged(chains: readonly FilterChain[], served: Served = SERVED): string[] {
  return judgeFirewalls({ chains, configured: ["inet filter"], served }).map(({ level, message, details, exception }) =>
    [`${level} ${message}`, ...details, ...(exception === null ? [] : exceptionLines(exception))].join("\n  "),
  );
}

describe("rulesets that real programs wrote", () => {
  it("names what ufw drops, and exceptions that ufw keeps", () => {
    expect(judged(recorded("ufw"))).toMatchInlineSnapshot(`
      [
        "problem ufw drops requests to port control on lan0 (5351/udp)
        table ip filter, chain INPUT: policy drop
        ufw allow in on lan0 to any port 5351 proto udp comment portreeve",
        "problem ufw drops requests to DNS on lan0 (53/udp)
        table ip filter, chain INPUT: policy drop
        ufw allow in on lan0 to any port 53 proto udp comment portreeve",
        "problem ufw drops what Portreeve forwards from wan0 to lan0
        table ip filter, chain FORWARD: policy drop
        -A ufw-before-forward -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT   # a line for /etc/ufw/before.rules, above its COMMIT; then: ufw reload",
        "problem ufw drops what devices send from lan0 out to wan0
        table ip filter, chain FORWARD: policy drop
        ufw route allow in on lan0 out on wan0 comment portreeve",
      ]
    `);
  });

  it("names what Docker drops, and its own chain for exceptions", () => {
    expect(judged(recorded("docker"))).toMatchInlineSnapshot(`
      [
        "problem Docker drops what Portreeve forwards from wan0 to lan0
        table ip filter, chain FORWARD: policy drop
        iptables-nft -I DOCKER-USER -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT",
        "problem Docker drops what devices send from lan0 out to wan0
        table ip filter, chain FORWARD: policy drop
        iptables-nft -I DOCKER-USER -i lan0 -o wan0 -m comment --comment portreeve -j ACCEPT
        iptables-nft -I DOCKER-USER -i wan0 -o lan0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment portreeve -j ACCEPT",
      ]
    `);
  });

  it("names what firewalld rejects by zone, and lets what was DNATed be", () => {
    expect(judged(recorded("firewalld"))).toMatchInlineSnapshot(`
      [
        "problem firewalld drops requests to port control on lan0 (5351/udp)
        table inet firewalld, chain filter_IN_internal: reject
        firewall-cmd --permanent --new-policy=portreeve-in
        firewall-cmd --permanent --policy=portreeve-in --add-ingress-zone=internal
        firewall-cmd --permanent --policy=portreeve-in --add-egress-zone=HOST
        firewall-cmd --permanent --policy=portreeve-in --add-port=5351/udp
        firewall-cmd --reload",
        "problem firewalld drops requests to DNS on lan0 (53/udp)
        table inet firewalld, chain filter_IN_internal: reject
        firewall-cmd --permanent --new-policy=portreeve-in
        firewall-cmd --permanent --policy=portreeve-in --add-ingress-zone=internal
        firewall-cmd --permanent --policy=portreeve-in --add-egress-zone=HOST
        firewall-cmd --permanent --policy=portreeve-in --add-port=53/udp
        firewall-cmd --reload",
        "problem firewalld drops what devices send from lan0 out to wan0
        table inet firewalld, chain filter_FWD_internal: reject
        firewall-cmd --permanent --new-policy=portreeve-out
        firewall-cmd --permanent --policy=portreeve-out --add-ingress-zone=internal
        firewall-cmd --permanent --policy=portreeve-out --add-egress-zone=public
        firewall-cmd --permanent --policy=portreeve-out --set-target=ACCEPT
        firewall-cmd --reload",
      ]
    `);
  });

  /** Without the rules that zones have for interfaces they name: these are then in the default one, public. */
  const unnamed = (...names: string[]) =>
    recorded("firewalld").map((chain) => {
      const named = ({ values }: { values: readonly unknown[] }) => names.includes(String(values[0]));
      return { ...chain, rules: chain.rules.filter(({ matches }) => !matches.some(named)) };
    });

  it("names a WAN to its zone where firewalld's policies would not see it", () => {
    const typed = judged(unnamed("wan0")).at(-1);
    expect(typed).toContain(
      "--set-target=ACCEPT\n  firewall-cmd --permanent --zone=public --add-interface=wan0\n  firewall-cmd --reload",
    );
    const [exception] = judgeFirewalls({ chains: unnamed("wan0"), configured: [], served: SERVED }).flatMap((each) =>
      each.exception?.allow.kind === "between" ? each.exception : [],
    );
    expect(exception === undefined ? null : lastingNote(exception)).toContain("wan0 (zone public) stays in its zone");
    expect(judged(unnamed("wan0")).at(0), "nor more than is needed").not.toContain("--add-interface");
  });

  it("opens nothing in a zone that devices share with a WAN, and says what to do first", () => {
    const found = judgeFirewalls({ chains: unnamed("wan0", "lan0"), configured: [], served: SERVED });
    expect(found.map(({ exception }) => exception)).toEqual([null, null, null]);
    for (const { fix } of found) {
      expect(fix).toContain("lan0 is in the same firewalld zone as wan0");
      expect(fix).toContain("`firewall-cmd --permanent --zone=internal --change-interface=lan0`");
    }
  });

  it("has a policy of its own for devices of the tunnel among themselves", () => {
    const inside = [{ interface: "lan0", address: null, kind: "wireguard" } as const];
    const found = judgeFirewalls({
      chains: recorded("firewalld").map((chain) =>
        chain.name === "filter_FWD_internal_allow" ? { ...chain, rules: [] } : chain,
      ),
      configured: [],
      served: { ...SERVED, inside, services: [] },
    });
    const lines = found.flatMap(({ exception }) => (exception === null ? [] : exceptionLines(exception)));
    const policies = lines.map((line) => /policy=(\S+)/.exec(line)?.[1]).filter((name) => name !== undefined);
    expect([...new Set(policies)].sort()).toEqual(["portreeve-out", "portreeve-within"]);
  });

  it("names nftables.service's table, and drops nothing that it accepts", () => {
    expect(judged(recorded("nftables-service"))).toMatchInlineSnapshot(`
      [
        "problem nftables.service (table inet filter) drops requests to port control on lan0 (5351/udp)
        table inet filter, chain input: reject
        nft insert rule inet filter input 'iifname "lan0" udp dport 5351 accept comment "portreeve"'",
        "problem nftables.service (table inet filter) drops what Portreeve forwards from wan0 to lan0
        table inet filter, chain forward: policy drop
        nft insert rule inet filter forward 'ct mark & 0x01000000 == 0x01000000 accept comment "portreeve"'",
      ]
    `);
  });

  it("has nothing to say where nothing is served", () => {
    const nothing = { ...SERVED, inside: [], services: [] };
    expect(judged(recorded("ufw"), nothing)).toEqual(["ok nothing is served yet that another firewall could drop"]);
  });
});

describe("what HAProxy takes", () => {
  const target = { internalAddress: "192.168.7.2", internalPort: 443, interface: "lan0" };
  const proxied = [
    { interface: "wan0", address: "11.22.33.1", port: 60_443, targets: [target] },
    { interface: "wan0", address: "11.22.33.1", port: 60_080, targets: [] },
  ];
  const served = { ...SERVED, services: [], proxied };
  const ofInput = (rules: readonly string[]): FilterChain[] =>
    decodeIptablesSave(["*filter", ":INPUT DROP [0:0]", ...rules, "COMMIT", ""].join("\n"), "ip", "iptables-nft");
  const allowed = judgeFirewalls({ chains: ofInput([]), configured: [], served }).flatMap(({ exception }) =>
    exception === null ? [] : exceptionLines(exception),
  );

  it("is named where an input chain drops it, with what would let it in", () => {
    expect(judged(recorded("ufw"), served).filter((each) => each.includes("INPUT"))).toMatchInlineSnapshot(`
      [
        "problem ufw drops what is for TLS routes from wan0, from lan0
        table ip filter, chain INPUT: policy drop
        -A ufw-before-input -p tcp -m tcp --dport 60443 -m conntrack --ctstate DNAT -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT   # a line for /etc/ufw/before.rules, above its COMMIT; then: ufw reload",
        "problem ufw drops what is to be sent to HTTPS from wan0, from lan0
        table ip filter, chain INPUT: policy drop
        -A ufw-before-input -p tcp -m tcp --dport 60080 -m conntrack --ctstate DNAT -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT   # a line for /etc/ufw/before.rules, above its COMMIT; then: ufw reload",
      ]
    `);
    expect(
      judged(recorded("nftables-service"), served).filter((each) => each.includes("chain input")),
    ).toMatchInlineSnapshot(`
        [
          "problem nftables.service (table inet filter) drops what is for TLS routes from wan0, from lan0
          table inet filter, chain input: reject
          nft insert rule inet filter input 'ct mark & 0x01000000 == 0x01000000 ct status dnat tcp dport 60443 accept comment "portreeve"'",
          "problem nftables.service (table inet filter) drops what is to be sent to HTTPS from wan0, from lan0
          table inet filter, chain input: reject
          nft insert rule inet filter input 'ct mark & 0x01000000 == 0x01000000 ct status dnat tcp dport 60080 accept comment "portreeve"'",
        ]
      `);
    expect(judged(ofInput([]), served)).toMatchInlineSnapshot(`
      [
        "problem iptables drops what is for TLS routes from wan0, from lan0
        table ip filter, chain INPUT: policy drop
        iptables-nft -I INPUT -p tcp -m tcp --dport 60443 -m conntrack --ctstate DNAT -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT",
        "problem iptables drops what passes between HAProxy and hosts of TLS routes on lan0
        table ip filter, chain INPUT: policy drop
        iptables-nft -I INPUT -i lan0 -p tcp -m conntrack --ctstate ESTABLISHED --ctdir REPLY -m comment --comment portreeve -j ACCEPT",
        "problem iptables drops what is to be sent to HTTPS from wan0, from lan0
        table ip filter, chain INPUT: policy drop
        iptables-nft -I INPUT -p tcp -m tcp --dport 60080 -m conntrack --ctstate DNAT -m connmark --mark 0x1000000/0x1000000 -m comment --comment portreeve -j ACCEPT",
      ]
    `);
  });

  it("is let be by firewalld, which lets in what was DNATed", () => {
    expect(judged(recorded("firewalld"), served).filter((each) => /HTTPS|TLS/.test(each))).toEqual([]);
  });

  it("is all that the exceptions let in: a packet to its port itself is dropped as before", () => {
    const rules = allowed.map((line) => line.replace("iptables-nft -I INPUT", "-A INPUT"));
    expect(rules).toHaveLength(3);
    expect(judged(ofInput(rules), served)).toEqual([expect.stringMatching(/^ok /)]);
    const chains = ofInput(rules);
    const packet: Packet = {
      iif: "wan0",
      oif: null,
      protocol: "tcp",
      source: null,
      destination: "11.22.33.1",
      sourcePort: null,
      destinationPort: 60_443,
      states: ["new"],
      mark: 0,
      direction: "original",
    };
    const ends = [
      packet,
      { ...packet, destinationPort: 60_080 },
      { ...packet, iif: "lan0" },
      // By a DNAT of somebody else's, and with a mark that is left from another hook.
      { ...packet, states: ["new", "dnat"] },
      { ...packet, mark: SERVED.forwardMark },
      { ...packet, states: ["established"], iif: "wan0", direction: "reply" as const },
    ].map((each) => dropOf(each, chains[0] as FilterChain, chains));
    for (const end of ends) expect(end).toMatchObject({ rule: null, certain: true });
    const redirected = { ...packet, states: ["new", "dnat"], mark: SERVED.forwardMark };
    expect(dropOf(redirected, chains[0] as FilterChain, chains)).toBeNull();
  });

  it("has no exception where it is dropped on the way out, and says so", () => {
    const text = ["*filter", ":OUTPUT DROP [0:0]", "COMMIT", ""].join("\n");
    const found = judgeFirewalls({ chains: decodeIptablesSave(text, "ip", "iptables-nft"), configured: [], served });
    expect(found.map(({ exception }) => exception)).toEqual([null, null, null]);
    expect(found[0]?.fix).toContain("it is dropped on its way out");
  });
});

describe("forwards that there are", () => {
  const forward = { protocol: "tcp", address: "192.168.7.2", port: 443, interface: "lan0" } as const;
  const allowing = recorded("ufw").map((chain) =>
    chain.name === "ufw-user-forward"
      ? {
          ...chain,
          rules: [
            {
              text: "-d 192.168.7.2/32 -p tcp --dport 443 -j ACCEPT",
              comment: null,
              handle: null,
              matches: [
                { field: "daddr", negated: false, values: ["192.168.7.2/32"] } as const,
                { field: "dport", negated: false, values: ["443"] } as const,
              ],
              verdict: { kind: "accept" } as const,
            },
          ],
        }
      : chain,
  );
  const onForwarded = (forwards: Served["forwards"]): string | undefined =>
    judged(allowing, { ...SERVED, services: [], forwards }).find((each) => each.includes("forwards"));

  it("is a problem while one of them is dropped, and named", () => {
    expect(onForwarded([forward, { ...forward, port: 80 }])).toMatch(/^problem [^]*among it 192\.168\.7\.2:80\/tcp/);
  });

  it("is a warning while all of them pass: the next one would not", () => {
    expect(onForwarded([forward])).toMatch(/^warning ufw drops what Portreeve forwards from wan0 to lan0/);
  });
});
