import { expect } from "vitest";
import type { Lab } from "./lab.ts";

/** A promise that outlasts whatever the scenario does; by its nonce it can be renewed. */
export const HELD = {
  protocol: "tcp" as const,
  internalPort: 8080,
  suggestedPort: 8080,
  lifetime: 7200,
  nonce: "ab".repeat(12),
};

export async function hold(lab: Lab): Promise<void> {
  await lab.client().listen({ tcp: [HELD.internalPort] });
  expect(await lab.map(lab.client(), HELD)).toMatchObject({ result: 0, externalPort: HELD.suggestedPort });
}
