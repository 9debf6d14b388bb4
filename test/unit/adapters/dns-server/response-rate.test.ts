import { expect, it } from "vitest";
import { blockOf, ResponseRate } from "../../../../src/adapters/dns-server/thread/answers/response-rate.ts";

it("lets so many answers of a kind out in a second, then every second one as TC, and the rest not (F36)", () => {
  const rate = new ResponseRate();
  const verdicts = Array.from({ length: 9 }, () => rate.take("a", 5, 0));
  expect(verdicts).toEqual(["send", "send", "send", "send", "send", "drop", "truncate", "drop", "truncate"]);
  expect(rate.take("b", 5, 0)).toBe("send");
});

it("gives it back with time: after a flood once the debt of at most 15 s is paid", () => {
  const rate = new ResponseRate();
  for (let count = 0; count < 1000; count += 1) rate.take("a", 5, 0);
  expect(rate.take("a", 5, 14_000)).not.toBe("send");
  expect(rate.take("a", 5, 15_600)).toBe("send");
});

it("remembers a bounded number of them", () => {
  const rate = new ResponseRate();
  for (let count = 0; count < 10_000; count += 1) rate.take(`k${count}`, 5, 0);
  expect(rate.size).toBe(4096);
});

it("counts strangers by the network one customer has", () => {
  expect(blockOf("198.51.100.7")).toBe(blockOf("198.51.100.250"));
  expect(blockOf("198.51.100.7")).not.toBe(blockOf("198.51.101.7"));
  expect(blockOf("2001:db8:1:200::1")).toBe(blockOf("2001:db8:1:2ff::9"));
  expect(blockOf("2001:db8:1:200::1")).not.toBe(blockOf("2001:db8:1:300::1"));
  expect(blockOf("fe80::1%lan0")).toBe(blockOf("fe80::a:b:c:d%lan0"));
});
