/** The thread that answers DNS: whatever the daemon is busy with, nobody waits for it to look up a name. */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../../lib/assert.ts";
import { dnsKeyParts } from "../../../lib/dns-row.ts";
import { formatName } from "../../../lib/domain-name.ts";
import type { Client } from "./answers/exchange.ts";
import { explain, unexplained } from "./answers/explain.ts";
import { createForwarder } from "./forwarder/forwarder.ts";
import { Forwarding } from "./forwarder/forwarding.ts";
import { Gathering } from "../gathering.ts";
import { createListeners } from "./sockets/listeners.ts";
import type { FromWorker, ToWorker, UpdateRequest, WorkerSettings } from "../messages.ts";
import { Queries } from "./answers/queries.ts";
import { QueryLog } from "./answers/query-log.ts";
import { Responder } from "./answers/responder.ts";
import { servedKey, ServedRows } from "./zones/served-rows.ts";
import { Tally } from "./tally.ts";
import { ThreadClock } from "./thread-clock.ts";
import { Updates } from "./answers/updates.ts";
import { Views } from "./zones/views.ts";
import { Warnings } from "./warnings.ts";
import { ZoneData } from "./zones/zone-data.ts";

/** How often the other thread hears of counts and queries. */
const TELL_MS = 500;

assert(parentPort !== null, "runs as a worker thread only");
const port = parentPort;
const tell = (message: FromWorker): void => port.postMessage(message);
const settings = workerData as WorkerSettings;
const clock = new ThreadClock();
const [zones, views, tally, queryLog] = [new ZoneData(), new Views(), new Tally(), new QueryLog()];
const warnings = new Warnings(
  (message, fields) => tell({ kind: "warned", message, fields }),
  () => performance.now(),
);
const forwarder = createForwarder({
  clock,
  upstreams: settings.upstreams,
  rebindingAllow: settings.rebindingAllow,
  log: (message) => warnings.add("forwarder", message),
});
const forwarding = new Forwarding(forwarder, zones, tally);
const asked = new Gathering<{ id: number; request: UpdateRequest }>((all) => tell({ kind: "updates", updates: all }));
const updates = new Updates(views, tally, (id, request) => asked.add({ id, request }));
const responder = new Responder({
  zones,
  views,
  forwarding,
  queries: new Queries(zones, forwarding, tally, () => performance.now()),
  updates,
  tally,
  nowSeconds: () => Math.floor(Date.now() / 1000),
  monotonic: () => performance.now(),
  onBadSignature: ({ address, listener }, { keyName }, why) => {
    const fields = { from: address, view: listener.view, key: formatName(keyName) };
    warnings.add(address, `a signed DNS message was refused: ${why}`, fields);
  },
});
/** Whatever a message may bring to light in us, the others are answered. */
function broken(cause: unknown, { address }: Client): null {
  warnings.add(address, `a message was not answered, for a fault of ours: ${String((cause as Error).stack ?? cause)}`);
  return null;
}
const respond = queryLog.around((bytes, client) => {
  try {
    const reply = responder.respond(bytes, client);
    return reply instanceof Promise ? reply.catch((cause: unknown) => broken(cause, client)) : reply;
  } catch (cause) {
    return broken(cause, client);
  }
});
const listeners = createListeners(respond, (listener, message) => tell({ kind: "lost", listener, message }));
const rows = new ServedRows(zones, views);

const timer = setInterval(() => {
  const counts = tally.take();
  if (counts !== null) tell({ kind: "counted", counts });
  const entries = queryLog.take();
  if (entries.length > 0) tell({ kind: "queried", entries });
}, TELL_MS);

function configureForwarder(): void {
  const all = views.all();
  forwarder.configure({
    views: all.map(({ row }) => ({ id: row.id, upstreams: row.upstreams })),
    listeners: listeners.served.map(({ address, port: at }) => ({ address, port: at })),
    prefixes: all.flatMap(({ row }) => row.prefixes),
  });
}

async function listen({ id, listeners: wanted }: Extract<ToWorker, { kind: "listen" }>): Promise<void> {
  const failed = await listeners.serve(wanted);
  const faults = failed.map(({ listener, error: { code, message } }) => ({ listener, code, message }));
  views.serve(listeners.served);
  configureForwarder();
  tell({ kind: "listening", id, faults });
}

async function ask({ id, view: viewId, name, type }: Extract<ToWorker, { kind: "ask" }>): Promise<void> {
  const view = views.get(viewId);
  const explanation =
    view === undefined
      ? unexplained(viewId, "there is no such view", "REFUSED")
      : await explain({ zones, forwarding }, view, { name, type }).catch((cause: unknown) =>
          unexplained(viewId, `it could not be found out, for a fault of ours: ${String(cause)}`),
        );
  tell({ kind: "asked", id, explanation });
}

function hear(message: ToWorker): void {
  switch (message.kind) {
    case "rows": {
      for (const key of message.remove) rows.remove(key);
      const refused = message.set.flatMap((row) => {
        const why = rows.set(row);
        return why === null ? [] : [{ key: servedKey(row), message: why }];
      });
      const touched = [...message.set.map(servedKey), ...message.remove];
      if (touched.some((key) => dnsKeyParts(key).kind === "view")) configureForwarder();
      return tell({ kind: "applied", id: message.id, refused });
    }
    case "listen":
      return void listen(message);
    case "verdict":
      return updates.decided(message.id, message.verdict);
    case "ask":
      return void ask(message);
    case "log-queries":
      queryLog.on = message.on;
      return;
    case "close":
      clearInterval(timer);
      clock.close();
      void listeners.serve([]).then(() => {
        forwarder.close();
        port.close();
      });
  }
}

port.on("message", (messages: readonly ToWorker[]) => {
  for (const message of messages) hear(message);
});
