import { describe, expect, it } from "vitest";
import { endpointAt } from "../../../src/lib/endpoint.ts";

describe("the place a client dials", () => {
  it.each([
    ["gw.example.org", "gw.example.org:51820"],
    ["gw.example.org:51821", "gw.example.org:51821"],
    ["2001:db8::1", "[2001:db8::1]:51820"],
    ["[2001:db8::1]:51821", "[2001:db8::1]:51821"],
    ["198.51.100.7", "198.51.100.7:51820"],
  ])("[W3] %s is %s", (place, endpoint) => expect(endpointAt(place, 51820)).toBe(endpoint));

  it.each(["a b", "", "gw.example.org:99999", "1.2.3", "https://gw", "gw\nPostUp = x"])("[W3] %j is none", (place) => {
    expect(endpointAt(place, 51820)).toBeNull();
  });
});
