import type { ApiDeps } from "./deps.ts";
import type { DeviceContext } from "./views/device.ts";

/** What views of devices need, at this moment. */
export function deviceContext({
  controller,
  clock,
  tunnel,
}: Pick<ApiDeps, "controller" | "clock" | "tunnel">): DeviceContext {
  return {
    state: controller.state,
    now: clock.now(),
    activity: tunnel.activity,
  };
}
