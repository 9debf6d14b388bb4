import { describe, expect, it } from "vitest";
import { createMetrics } from "../../../src/lib/metrics.ts";

describe("createMetrics", () => {
  it("gives one instrument to all who ask for its name", async () => {
    const metrics = createMetrics();
    for (const target of ["a", "b"]) metrics.counter("things_total", "Things", ["target"]).inc({ target }, 2);
    const text = await metrics.text();
    expect(text).toContain('things_total{target="a"} 2');
    expect(text).toContain('things_total{target="b"} 2');
    expect(metrics.contentType).toContain("text/plain");
  });

  it("shares nothing with another registry", async () => {
    createMetrics().gauge("level", "Level", []).set({}, 7);
    expect(await createMetrics().text()).not.toContain("level");
  });
});
