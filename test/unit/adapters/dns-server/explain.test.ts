import { describe, expect, it } from "vitest";
import { explain } from "../../../../src/adapters/dns-server/thread/answers/explain.ts";
import { Forwarding } from "../../../../src/adapters/dns-server/thread/forwarder/forwarding.ts";
import { Tally } from "../../../../src/adapters/dns-server/thread/tally.ts";
import { View } from "../../../../src/adapters/dns-server/thread/zones/views.ts";
import { zoneData } from "./zone.ts";

const view = new View(
  {
    kind: "view",
    id: "home",
    interface: "wg0",
    prefixes: ["10.59.0.0/24"],
    zone: "home.arpa",
    upstreams: { mode: "system" },
    unsignedUpdates: false,
  },
  ["10.59.0.1"],
);

describe("what a client would be answered", () => {
  it.each([
    ["a text that ends within its string", "c00c00100001000000e100020541"],
    ["nothing at all", null],
  ])("is told also where an upstream's answer cannot be read: %s", async (_, records) => {
    const resolve = (query: Uint8Array): Promise<Uint8Array> => {
      if (records === null) return Promise.resolve(new Uint8Array());
      const reply = Buffer.concat([query, Buffer.from(records, "hex")]);
      reply[2] = 0x81;
      reply[7] = 1;
      return Promise.resolve(new Uint8Array(reply));
    };
    const zones = zoneData(["home.arpa"], {});
    const forwarding = new Forwarding({ resolve }, zones, new Tally());
    const explanation = await explain({ zones, forwarding }, view, { name: "www.example.com", type: "TXT" });
    expect(explanation).toMatchObject({ decision: "failed", why: "the answer cannot be read", answers: [] });
  });
});
