import { onTestFinished } from "vitest";
import {
  createForwarder,
  type Forwarder,
  type ForwarderOptions,
  type ForwarderSetup,
} from "../../../../../src/adapters/dns-server/thread/forwarder/forwarder.ts";
import type { Resolution } from "../../../../../src/adapters/dns-server/thread/forwarder/resolution.ts";
import { ManualClock } from "../../../../../src/lib/manual-clock.ts";
import { type Behaviour, LoopbackUpstream } from "./loopback-upstream.ts";
import { query, type QueryOptions, type Told, told } from "./messages.ts";

export async function upstreamThat(behaviour: Behaviour): Promise<LoopbackUpstream> {
  const upstream = await LoopbackUpstream.start(behaviour);
  onTestFinished(() => upstream.close());
  return upstream;
}

export interface Forwarding {
  readonly forwarder: Forwarder;
  readonly clock: ManualClock;
  readonly logged: string[];
  readonly resolutions: Resolution[];
  readonly ask: (
    name: string,
    type?: string,
    options?: QueryOptions & { readonly tcp?: boolean; readonly view?: string },
  ) => Promise<Told>;
  /** Lets time pass in steps, so that what waits for sockets in between gets its turn, until the promise is settled. */
  readonly passing: <T>(promise: Promise<T>, stepMs?: number) => Promise<T>;
}

/** One view, "v", that asks `servers`. */
export function forwardingTo(
  servers: readonly string[],
  more: Partial<ForwarderOptions> & { readonly setup?: Partial<ForwarderSetup> } = {},
): Forwarding {
  const clock = new ManualClock();
  const logged: string[] = [];
  const resolutions: Resolution[] = [];
  const { setup, ...options } = more;
  const log = (message: string): void => void logged.push(message);
  const forwarder = createForwarder({
    clock,
    upstreams: "system",
    rebindingAllow: [],
    systemFiles: [],
    log,
    ...options,
  });
  onTestFinished(() => forwarder.close());
  forwarder.configure({
    views: [{ id: "v", upstreams: { mode: "custom", servers } }],
    listeners: [],
    prefixes: [],
    ...setup,
  });
  return {
    forwarder,
    clock,
    logged,
    resolutions,
    async ask(name, type = "A", { tcp = false, view = "v", ...rest } = {}) {
      const how = {
        transport: tcp ? "tcp" : "udp",
        onResolved: (decision: Resolution) => void resolutions.push(decision),
      } as const;
      return told(await forwarder.resolve(query(name, type, rest), view, how));
    },
    async passing(promise, stepMs = 100) {
      let settled = false;
      const settle = (): void => {
        settled = true;
      };
      promise.then(settle, settle);
      for (;;) {
        for (let turn = 0; turn < 10 && !settled; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        if (settled) return await promise;
        clock.advance(stepMs);
      }
    },
  };
}
