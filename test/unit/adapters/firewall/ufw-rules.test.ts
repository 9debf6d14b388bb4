import { describe, expect, it } from "vitest";
import { withoutUfwRules, withUfwRule } from "../../../../src/adapters/firewall/ufw-rules.ts";

const RULE = "-A ufw-before-forward -m connmark --mark 0x1/0x1 -m comment --comment portreeve -j ACCEPT";
const FILE = [
  "*nat",
  ":POSTROUTING ACCEPT [0:0]",
  "COMMIT",
  "*filter",
  ":ufw-before-forward - [0:0]",
  "-A ufw-before-forward -m comment --comment portreeves -j DROP",
  "# don't delete the 'COMMIT' line or these rules won't be processed",
  "COMMIT",
  "",
].join("\n");

describe("/etc/ufw/before.rules", () => {
  it("gets the rule as the last one of its filter table, once", () => {
    const changed = withUfwRule(FILE, RULE);
    expect(changed.split("\n").at(-3)).toBe(RULE);
    expect(changed.indexOf(RULE)).toBeGreaterThan(changed.indexOf("*filter"));
    expect(withUfwRule(changed, RULE)).toBe(changed);
  });

  it("is byte for byte what it was once the rule is taken away", () => {
    expect(withoutUfwRules(withUfwRule(FILE, RULE), "portreeve")).toBe(FILE);
    expect(withoutUfwRules(FILE, "portreeve")).toBe(FILE);
  });

  it("is left alone where it has no filter table", () => {
    expect(() => withUfwRule("*nat\nCOMMIT\n", RULE)).toThrow(/no filter table/);
  });
});
