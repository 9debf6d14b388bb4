import { expect, it } from "vitest";
import { Places } from "../../../src/api/places.ts";

it("gives so many places and refuses the next with a time to come again", () => {
  const places = new Places(2, "streams are open");
  const leave = places.take();
  places.take();
  expect(() => places.take()).toThrow("2 streams are open, as many as may be; end one, or ask again later");
  leave();
  leave();
  places.take();
  expect(() => places.take()).toThrow(expect.objectContaining({ problem: expect.objectContaining({ status: 503 }) }));
});

it("gives a place back when the work fails", async () => {
  const places = new Places(1, "works");
  await expect(places.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await places.during(() => 7)).toBe(7);
});
