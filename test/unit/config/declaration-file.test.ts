import { describe, expect, it } from "vitest";
import { parseDeclaration } from "../../../src/config/declaration-file.ts";

const faultsOf = (text: string): string[] => {
  try {
    parseDeclaration(text, "site.yaml");
  } catch (cause) {
    return (cause as Error).message.split("\n");
  }
  return [];
};

describe("a declaration file", () => {
  it("is read with its defaults", () => {
    const text =
      "name: site\ndevices:\n  - { name: nas, subnet: home }\nports:\n  - { name: web, port: 443/tcp, to: nas }\n";
    expect(parseDeclaration(text, "site.yaml")).toMatchObject({
      name: "site",
      subnets: [],
      devices: [{ name: "nas", kind: "client", subnet: "home", interface: null, address: null, publicKey: null }],
      ports: [{ name: "web", port: "443/tcp", to: "nas", enabled: true, wan: null }],
    });
  });

  it("says where each mistake is, and what was probably meant", () => {
    const text = [
      "name: site",
      "device: []",
      "devices:",
      "  - name: nas",
      "    kind: sever",
      "    subnet: home",
      "    adress: 10.59.7.2",
      "  - name: nas",
      "    subnet: home",
      "ports:",
      "  - name: web",
      "    port: 443",
      "    to: nas",
    ].join("\n");
    expect(faultsOf(text)).toEqual([
      "site.yaml:2: `device` is not a known key. Did you mean `devices`?",
      "site.yaml:5: `devices[0].kind` must be one of server, client. Did you mean `server`?",
      "site.yaml:7: `devices[0].adress` is not a known key. Did you mean `address`?",
      "site.yaml:12: `ports[0].port` must be of type string",
    ]);
  });

  it.each([
    ["", ["site.yaml:1: `name` must be of type string"]],
    ["- a", ["site.yaml:1: must hold keys and values, as in `name: home`"]],
    [
      "name: site\ndevices: [{ name: nas, subnet: a }, { name: nas, subnet: a }]",
      ["site.yaml:2: `devices[1].name` is there twice: nas"],
    ],
    [
      "name: site\ndevices:\n  - name: nas",
      [
        "site.yaml:3: `devices[0].subnet` must be on a subnet or on a LAN: name one of the two, as in `subnet: home` or `interface: lan0`",
      ],
    ],
  ])("refuses %j", (text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });
});
