import { AdminSocket } from "./admin-socket.ts";
import { asHaproxySees } from "./config.ts";
import { type ListedEntry, MAP_FILES, parseListing } from "./maps.ts";

/** A running HAProxy of this instance, as its admin socket shows it. */
export interface Conversation {
  readonly description: string;
  readonly closed: boolean;
  entries(): Promise<ListedEntry[]>;
  /** What it said against each of them; "" if nothing. */
  run(commands: readonly string[]): Promise<string[]>;
  /** Connections of each key of the map of routes. */
  hits(): Promise<{ readonly key: string; readonly total: number; readonly open: number }[]>;
  /** What was counted of these keys, unless a connection still counts. */
  forget(keys: readonly string[]): Promise<void>;
  close(): void;
}

/** Null: none of this instance answers there. */
export async function converse(
  place: { readonly socket: string; readonly instanceId: string; readonly answerWithinMs: number },
  onEnd: () => void,
): Promise<Conversation | null> {
  let admin: AdminSocket;
  try {
    admin = await AdminSocket.open(place.socket, place.answerWithinMs, onEnd);
  } catch {
    return null;
  }
  const [info = ""] = await admin.ask(["show info"]).catch(() => [""]);
  const description = /^description: (.*)$/m.exec(info)?.[1] ?? "";
  if (!description.startsWith(`portreeve ${place.instanceId} `)) {
    admin.close();
    return null;
  }
  return {
    description,
    get closed() {
      return admin.closed;
    },
    async entries() {
      const listings = await admin.ask(MAP_FILES.map((map) => `show map ${asHaproxySees(map)}`));
      return MAP_FILES.flatMap((map, index) => parseListing(map, listings[index] as string));
    },
    run: (commands) => admin.ask(commands),
    async hits() {
      const [table = ""] = await admin.ask(["show table hits"]);
      return [...table.matchAll(HIT)].map(([, key = "", total, open]) => {
        return { key, total: Number(total), open: Number(open) };
      });
    },
    async forget(keys) {
      await admin.ask(keys.map((key) => `clear table hits key ${key}`));
    },
    close: () => admin.close(),
  };
}

/** "0x55d0: key=11.22.33.1:443/example.com use=1 exp=0 shard=0 conn_cnt=3 conn_cur=1" */
const HIT = /^0x\S+ key=(\S+) .*\bconn_cnt=(\d+) conn_cur=(\d+)/gm;
