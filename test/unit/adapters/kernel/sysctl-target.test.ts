import { expect, it } from "vitest";
import type { Links } from "../../../../src/adapters/kernel/links.ts";
import { createSysctlTarget } from "../../../../src/adapters/kernel/sysctl-target.ts";
import type { Plan } from "../../../../src/reconcilers/contract.ts";
import type { SysctlRow } from "../../../../src/reducers/select/rows.ts";

const links = (...indexes: number[]): Links => ({
  links: indexes.map((index) => ({ name: "wan0", index, up: true, addresses: [], linkLocal: [], gateway: null })),
  defaultRoutes: [],
});

it("[F25] an interface made anew under its old name is looked at again: it has the machine's defaults", async () => {
  const target = createSysctlTarget(() => []);
  const drifts: string[] = [];
  const watch = target.watch?.((by) => drifts.push(by));
  target.interfacesSeen(links(3));
  target.interfacesSeen(links(3));
  expect({ drifts, unchanged: target.unchanged?.() }).toEqual({ drifts: [], unchanged: true });
  for (const anew of [[links(4)], [links(), links(4)]]) {
    drifts.length = 0;
    for (const reading of anew) target.interfacesSeen(reading);
    expect({ drifts, unchanged: target.unchanged?.() }).toEqual({ drifts: ["a new interface"], unchanged: false });
    await target.observe(new AbortController().signal);
    expect(target.unchanged?.()).toBe(true);
  }
  watch?.close();
  target.interfacesSeen(links(5));
  expect(drifts).toHaveLength(1);
});

it("forwards no IPv6 while that would end a default route, and sees to what keeps it first", async () => {
  const create = (name: string): Plan<SysctlRow, string>[number] => {
    const spec = { name, value: "2", reason: "the test" };
    return { op: "create", key: name, desired: { key: name, spec, owners: ["test"], revision: 1 } };
  };
  const asked: string[] = [];
  const target = createSysctlTarget(
    () => [],
    () => {
      asked.push("advertisements");
      return Promise.resolve([
        { interface: "nowhere0", forwarding: false, acceptRa: 1 },
        { interface: "kept0", forwarding: false, acceptRa: 2 },
      ]);
    },
  );
  // As a plan is sorted: by key.
  const plan = [create("net.ipv6.conf.all.forwarding"), create("net.ipv6.conf.nowhere0.accept_ra")];
  const outcomes = await target.apply(plan, new AbortController().signal);
  expect(outcomes.map(({ key }) => key)).toEqual([...plan].reverse().map(({ key }) => key));
  const [, forwarding] = outcomes;
  expect(forwarding).toMatchObject({ ok: false, error: { code: "ROUTE_LOST", disposition: "transient" } });
  const message = forwarding?.ok === false ? forwarding.error.message : "";
  expect(message).toContain("sysctl -w net.ipv6.conf.nowhere0.accept_ra=2");
  expect(message).not.toContain("kept0");
  expect(asked).toHaveLength(1);
});
