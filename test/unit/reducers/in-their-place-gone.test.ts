import { expect, it } from "vitest";
import { mapped } from "./given.ts";
import { Router } from "./router.ts";

it.each(["subnet.remove", "devices.expire"] as const)("[P4] %s: who asked and who it was for go together", (type) => {
  const router = new Router();
  router.device("nas", { lifetime: 60 });
  router.device("proxy", { mapsFor: ["10.59.7.0/24"], lifetime: 60 });
  const { address } = router.find("nas");
  mapped(router.ask("proxy", { thirdParty: address }));
  router.later(61);
  const done = router.do(type === "subnet.remove" ? { type, id: router.idOfSubnet("home") } : { type });
  expect([done.ok, router.state.mappings.size, router.state.devices.size]).toEqual([true, 0, 0]);
});
