import { describe, expect, it } from "vitest";
import { sameRoutes } from "../../../src/daemon/gateway-reconcilers.ts";
import type { State } from "../../../src/reducers/state.ts";
import { DEVICE, Gateway, OTHER_DEVICE, portAdd } from "../reducers/given.ts";

const same = sameRoutes("0123456789abcdef");

/** As on a gateway whose WAN got its address after all that was asked for. */
const addressedLate = (state: State): State => ({ ...state, topologyRevision: 1000 });

function withRouteTo(internalAddress: string): Gateway {
  const gateway = new Gateway();
  gateway.do(portAdd({ externalPort: 443, name: "a.example.org", internalAddress }), "api:test");
  return gateway;
}

describe("what an answer waits for of HAProxy", () => {
  it("is a route that leads elsewhere, also under the same revision", () => {
    const [here, there] = [DEVICE, OTHER_DEVICE].map((host) => addressedLate(withRouteTo(host).state));
    expect(same(here as State, there as State)).toBe(false);
  });

  it("is nothing where routes lead as they did", () => {
    const gateway = withRouteTo(DEVICE);
    const before = addressedLate(gateway.state);
    gateway.do(portAdd({ externalPort: 8080, internalAddress: OTHER_DEVICE }), "api:test");
    expect(same(before, addressedLate(gateway.state))).toBe(true);
  });
});
