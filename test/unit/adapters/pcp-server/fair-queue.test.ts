import { expect, it } from "vitest";
import { FairQueue } from "../../../../src/adapters/pcp-server/fair-queue.ts";

const drained = (queue: FairQueue<string>): string[] => {
  const order: string[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) order.push(item);
  return order;
};

it("a source that asks much delays another by one request", () => {
  const queue = new FairQueue<string>({ perSource: 16, total: 100 });
  for (const item of ["a1", "a2", "a3"]) queue.push("a", item);
  queue.push("b", "b1");
  expect(drained(queue)).toEqual(["a1", "b1", "a2", "a3"]);
  expect(queue.size).toBe(0);
});

it("a source that comes back waits behind those who were there", () => {
  const queue = new FairQueue<string>({ perSource: 16, total: 100 });
  for (const [source, item] of ["a1", "b1", "a2", "c1"].map((each) => [each[0] as string, each] as const)) {
    queue.push(source, item);
  }
  expect(queue.shift()).toBe("a1");
  queue.push("a", "a3");
  expect(drained(queue)).toEqual(["b1", "c1", "a2", "a3"]);
});

it("is bounded for each source and in all, and has room again once something left", () => {
  const queue = new FairQueue<string>({ perSource: 2, total: 3 });
  expect([queue.push("a", "1"), queue.push("a", "2"), queue.push("a", "3")]).toEqual([true, true, false]);
  expect([queue.push("b", "4"), queue.push("c", "5")]).toEqual([true, false]);
  queue.shift();
  expect(queue.push("c", "5")).toBe(true);
});
