import { describe, expect, it } from "vitest";
import {
  type ElementChange,
  encodeElementsJson,
  encodeElementsText,
} from "../../../../src/protocols/nftables-json/element.ts";

const table = "portreeve";
const single = { table, set: "forwards", key: ["1.2.3.4", "tcp", 80], data: ["10.0.0.1", 8080] } as const;
const range = { table, set: "ranges", key: ["1.2.3.4", "udp", [90, 99]], data: ["10.0.0.1"] } as const;
const holder = { table, set: "holders", key: ["10.0.0.1"], data: null } as const;
const changes: ElementChange[] = [
  { op: "delete", element: single },
  { op: "add", element: single },
  { op: "add", element: { ...single, key: ["1.2.3.4", "tcp", 81] } },
  { op: "add", element: range },
  { op: "add", element: holder },
];

describe("element transactions", () => {
  it("are JSON commands in order, one for neighbours of one set", () => {
    const data = { concat: ["10.0.0.1", 8080] };
    const element = (name: string, elem: unknown[]): object => ({ element: { family: "inet", table, name, elem } });
    expect(JSON.parse(encodeElementsJson(changes))).toEqual({
      nftables: [
        { delete: element("forwards", [{ concat: ["1.2.3.4", "tcp", 80] }]) },
        {
          add: element("forwards", [
            [{ concat: ["1.2.3.4", "tcp", 80] }, data],
            [{ concat: ["1.2.3.4", "tcp", 81] }, data],
          ]),
        },
        { add: element("ranges", [[{ concat: ["1.2.3.4", "udp", { range: [90, 99] }] }, "10.0.0.1"]]) },
        { add: element("holders", ["10.0.0.1"]) },
      ],
    });
  });

  it("say the same in nft's own language", () => {
    expect(encodeElementsText(changes)).toBe(
      [
        "delete element inet portreeve forwards { 1.2.3.4 . tcp . 80 }",
        "add element inet portreeve forwards { 1.2.3.4 . tcp . 80 : 10.0.0.1 . 8080, 1.2.3.4 . tcp . 81 : 10.0.0.1 . 8080 }",
        "add element inet portreeve ranges { 1.2.3.4 . udp . 90-99 : 10.0.0.1 }",
        "add element inet portreeve holders { 10.0.0.1 }",
        "",
      ].join("\n"),
    );
  });
});
