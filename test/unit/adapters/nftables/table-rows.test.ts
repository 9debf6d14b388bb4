import fc from "fast-check";
import { expect, it } from "vitest";
import { ElementColumns } from "../../../../src/adapters/nftables/element-columns.ts";
import { type ElementRow, fieldsOfRow, rowOfFields } from "../../../../src/adapters/nftables/table-rows.ts";

const address = fc.ipV4();
const protocol = fc.constantFrom("tcp" as const, "udp" as const);
const port = fc.integer({ min: 1, max: 65_535 });
const via = fc.integer({ min: 1, max: 63 });
const single = { address, protocol, port, toAddress: address, toPort: port };
const row: fc.Arbitrary<ElementRow> = fc.oneof(
  fc.record({ kind: fc.constant("forward" as const), ...single }),
  fc.record({ kind: fc.constant("outbound" as const), ...single }),
  fc.record({ kind: fc.constant("ours" as const), protocol, port }),
  fc.record({
    kind: fc.constant("range" as const),
    address,
    protocol,
    firstPort: port,
    lastPort: port,
    toAddress: address,
  }),
  fc.record({ kind: fc.constant("egress" as const), address, toAddress: address }),
  fc.record({ kind: fc.constant("restricted" as const), address, protocol, firstPort: port, lastPort: port }),
  fc.record({
    kind: fc.constant("allowed" as const),
    address,
    protocol,
    firstPort: port,
    lastPort: port,
    from: fc.tuple(address, fc.integer({ min: 1, max: 32 })).map(([network, length]) => `${network}/${length}`),
  }),
  fc.record({
    kind: fc.constant("allowedPort" as const),
    address,
    protocol,
    firstPort: port,
    lastPort: port,
    from: fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([network, length]) => `${network}/${length}`),
    fromPort: port,
  }),
  fc.record({ kind: fc.constant("visited" as const), address, protocol, port }),
  fc.record({ kind: fc.constant("hostVia" as const), address, via }),
  fc.record({ kind: fc.constant("portVia" as const), address, protocol, port, via }),
);

const keyOf = (of: ElementRow): string => {
  if (of.kind === "ours") return `ours|${of.protocol}|${of.port}`;
  if (of.kind === "range") return `range|${of.address}|${of.protocol}|${of.firstPort}-${of.lastPort}`;
  if (of.kind === "egress" || of.kind === "hostVia") return `${of.kind}|${of.address}`;
  if (of.kind === "restricted") return `restricted|${of.address}|${of.protocol}|${of.firstPort}-${of.lastPort}`;
  if (of.kind === "allowed") return `allowed|${of.address}|${of.protocol}|${of.firstPort}-${of.lastPort}|${of.from}`;
  if (of.kind === "allowedPort")
    return `allowedPort|${of.address}|${of.protocol}|${of.firstPort}-${of.lastPort}|${of.from}|${of.fromPort}`;
  return `${of.kind}|${of.address}|${of.protocol}|${of.port}`;
};

it("every row survives the way through the columns, with its key", () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 200 }), (rows) => {
      const columns = ElementColumns.empty();
      for (const each of rows) columns.push(fieldsOfRow(each));
      const arrived = new ElementColumns(structuredClone(columns.values()));
      expect(arrived.length).toBe(rows.length);
      for (const [index, each] of rows.entries()) {
        expect(rowOfFields(arrived.at(index))).toEqual({ key: keyOf(each), row: each });
      }
    }),
  );
});

it("columns grow, and forget what is cut off", () => {
  const columns = ElementColumns.empty();
  const fields = (firstPort: number) => ({
    set: 3,
    address: 0,
    protocol: 6,
    firstPort,
    lastPort: firstPort,
    toAddress: 0,
    toPort: 0,
    sourcePort: 0,
  });
  for (let index = 0; index < 1000; index += 1) columns.push(fields(index));
  columns.truncate(500);
  columns.push(fields(7));
  expect([columns.length, columns.at(499).firstPort, columns.at(500).firstPort]).toEqual([501, 499, 7]);
});
