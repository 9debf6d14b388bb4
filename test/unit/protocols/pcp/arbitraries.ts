import fc from "fast-check";
import type { PcpBody } from "../../../../src/protocols/pcp/body.ts";
import type { PcpOption } from "../../../../src/protocols/pcp/option.ts";

const port = fc.nat(0xffff);
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const fields = { nonce, protocol: fc.nat(255), internalPort: port, externalPort: port, externalAddress: fc.ipV4() };

export const body: fc.Arbitrary<PcpBody> = fc.oneof(
  fc.constant({ kind: "announce" } as const),
  fc.record({ kind: fc.constant("map" as const), ...fields }),
  fc.record({ kind: fc.constant("peer" as const), ...fields, remotePort: port, remoteAddress: fc.ipV4() }),
);

export const option: fc.Arbitrary<PcpOption> = fc.oneof(
  fc.record({ kind: fc.constant("third-party" as const), address: fc.ipV4() }),
  fc.constant({ kind: "prefer-failure" } as const),
  fc.record({
    kind: fc.constant("filter" as const),
    prefixLength: fc.oneof(fc.constant(0), fc.integer({ min: 96, max: 128 })),
    remotePort: port,
    remoteAddress: fc.ipV4(),
  }),
  fc.record({ kind: fc.constant("port-set" as const), size: port, firstInternalPort: port, parity: fc.boolean() }),
  fc.record({ kind: fc.constant("hostname" as const), hostname: fc.domain() }),
  fc.record({
    kind: fc.constant("opaque" as const),
    code: fc.constantFrom(4, 13, 128, 129, 200, 225, 254),
    data: fc.uint8Array({ maxLength: 40 }),
  }),
);
