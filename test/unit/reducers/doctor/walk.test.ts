import { describe, expect, it } from "vitest";
import { decodeIptablesSave } from "../../../../src/protocols/iptables-save/chains.ts";
import { dropOf, type Packet } from "../../../../src/reducers/doctor/walk.ts";

const PACKET: Packet = {
  iif: "wan0",
  oif: "lan0",
  protocol: "tcp",
  source: null,
  destination: "192.168.7.2",
  sourcePort: null,
  destinationPort: 443,
  states: ["new", "dnat"],
  mark: 0x01000000,
  direction: "original",
};

/** What becomes of the packet in a FORWARD chain with these rules: "accept", or where it is dropped; "?" if in doubt. */
function fate(policy: "ACCEPT" | "DROP", rules: readonly string[], packet: Packet = PACKET): string {
  const names = new Set(rules.map((rule) => rule.split(" ")[1] as string).filter((name) => name !== "FORWARD"));
  const declared = [...names].map((name) => `:${name} - [0:0]`);
  const text = ["*filter", `:FORWARD ${policy} [0:0]`, ...declared, ...rules, "COMMIT", ""].join("\n");
  const chains = decodeIptablesSave(text, "ip", "iptables-nft");
  const base = chains.find(({ name }) => name === "FORWARD");
  if (base === undefined) throw new Error("no base chain");
  const drop = dropOf(packet, base, chains);
  if (drop === null) return "accept";
  return `${drop.chain.name} ${drop.rule?.text ?? "policy"}${drop.certain ? "" : " ?"}`;
}

describe("a packet in a chain of others", () => {
  it("meets the policy where no rule decides", () => {
    expect(fate("DROP", [])).toBe("FORWARD policy");
    expect(fate("ACCEPT", [])).toBe("accept");
    expect(fate("DROP", ['-A FORWARD -j LOG --log-prefix "x "'])).toBe("FORWARD policy");
  });

  it.each([
    ["-A FORWARD -i wan0 -o lan0 -j ACCEPT"],
    ["-A FORWARD -i wan+ -j ACCEPT"],
    ["-A FORWARD ! -i lan0 -j ACCEPT"],
    ["-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"],
    ["-A FORWARD -m connmark --mark 0x1000000/0x1000000 -j ACCEPT"],
    ["-A FORWARD -d 192.168.7.0/24 -p tcp -m multiport --dports 80,440:450 -j ACCEPT"],
    ["-A FORWARD ! -s 10.0.0.0/8 -j ACCEPT"],
    ["-A FORWARD -m addrtype ! --dst-type LOCAL -j ACCEPT"],
    ["-A FORWARD -m iprange --dst-range 192.168.7.1-192.168.7.9 -j ACCEPT"],
  ])("is accepted by %s", (rule) => {
    expect(fate("DROP", [rule])).toBe("accept");
  });

  it.each([
    ["-A FORWARD -i wan1 -j ACCEPT"],
    ["-A FORWARD -p udp -m udp --dport 443 -j ACCEPT"],
    ["-A FORWARD -p tcp -m tcp --dport 444 -j ACCEPT"],
    ["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
    ["-A FORWARD -m connmark --mark 0x2000000/0x2000000 -j ACCEPT"],
    ["-A FORWARD -s 11.0.0.0/8 -j ACCEPT"],
    ["-A FORWARD -p icmp -m icmp --icmp-type 8 -j ACCEPT"],
  ])("is not meant by %s", (rule) => {
    expect(fate("DROP", [rule])).toBe("FORWARD policy");
  });

  it("goes through chains, comes back, and does not come back from a goto", () => {
    expect(fate("DROP", ["-A FORWARD -j a", "-A FORWARD -j ACCEPT", "-A a -p tcp -j RETURN", "-A a -j DROP"])).toBe(
      "accept",
    );
    expect(fate("DROP", ["-A FORWARD -g a", "-A FORWARD -j ACCEPT", "-A a -p udp -j DROP"])).toBe("FORWARD policy");
    expect(fate("ACCEPT", ["-A FORWARD -j a", "-A a -j b", "-A b -j REJECT"])).toBe("b -j REJECT");
    expect(fate("ACCEPT", ["-A FORWARD -j a", "-A a -j a"]), "a loop ends").toBe("accept");
  });

  it("is not taken for one that a blocklist or a limit chooses", () => {
    expect(fate("ACCEPT", ["-A FORWARD -m set --match-set bad src -j DROP"])).toBe("accept");
    expect(fate("ACCEPT", ["-A FORWARD -m set --match-set bad src -j a", "-A a -j DROP"])).toBe("accept");
    expect(fate("ACCEPT", ["-A FORWARD -p tcp -m tcp ! --syn -j DROP"])).toBe("accept");
  });

  it("is in doubt after a rule that may accept it", () => {
    expect(fate("DROP", ["-A FORWARD -m limit --limit 9/sec -j ACCEPT"])).toBe("FORWARD policy ?");
    expect(fate("DROP", ["-A FORWARD -m owner --uid-owner 7 -j a", "-A a -j ACCEPT"])).toBe("FORWARD policy ?");
    expect(fate("ACCEPT", ["-A FORWARD -j NFQUEUE --queue-num 1", "-A FORWARD -j DROP"])).toBe("FORWARD -j DROP ?");
    expect(fate("ACCEPT", ["-A FORWARD -j a", "-A a -m limit --limit 9/sec -j RETURN", "-A a -j DROP"])).toBe(
      "a -j DROP ?",
    );
  });

  it("came from anywhere: only a rule for everywhere, or for any port, is for it", () => {
    const any = { ...PACKET, destinationPort: null };
    expect(fate("DROP", ["-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT"], any)).toBe("FORWARD policy");
    expect(fate("DROP", ["-A FORWARD -p tcp -m tcp --dport 1:65535 -j ACCEPT"], any)).toBe("accept");
    expect(fate("DROP", ["-A FORWARD -s 0.0.0.0/0 -j ACCEPT"])).toBe("accept");
  });

  it("is known by no state of connection tracking while it is kept out of it", () => {
    const untracked = { ...PACKET, states: ["untracked"], mark: 0 };
    expect(fate("DROP", ["-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"], untracked)).toBe(
      "FORWARD policy",
    );
    expect(fate("ACCEPT", ["-A FORWARD -m conntrack --ctstate INVALID -j DROP"], untracked)).toBe("accept");
  });
});
