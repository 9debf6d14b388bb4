import { expect, it } from "vitest";
import type { Links } from "../../../../src/adapters/kernel/links.ts";
import { createSysctlTarget } from "../../../../src/adapters/kernel/sysctl-target.ts";

const links = (...indexes: number[]): Links => ({
  links: indexes.map((index) => ({ name: "wan0", index, up: true, addresses: [] })),
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
