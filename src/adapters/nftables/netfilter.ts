import {
  decodeFlow,
  decodeFlowCount,
  deleteFlowRequest,
  type Flow,
  type FlowAddress,
  flowCountRequest,
  flowsRequest,
  markFlowRequest,
} from "./conntrack-message.ts";
import type { ElementColumns, ElementFields, SetLayout } from "./element-columns.ts";
import { attributeText, attributeUint32, message, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "./netlink-message.ts";
import { NetlinkError, NetlinkSocket } from "./netlink-socket.ts";
import { decodeElements, elementRequest, elementsRequest, NFPROTO_INET } from "./set-elements.ts";

const NFT_SUBSYSTEM = 10 << 8;
const NFT_MSG_GETTABLE = 1;
const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFTA_TABLE_OWNER = 7;
const NFT_TABLE_F_DORMANT = 1;
/** Family and version of struct nfgenmsg, and its resource id, before the attributes. */
const NFGENMSG_SIZE = 4;
const NFT_MSG_GETGEN = 16;
const NFTA_GEN_PROC_PID = 2;
const NFTA_GEN_ID = 1;

/** A listing that others' commits keep interrupting is taken as it is: whether they touched our tables is told apart. */
const INTERRUPTED_MAX = 3;

/** What is read from the kernel, and done to live flows. Calls block: for a thread of its own. */
export interface Netfilter {
  /** The ruleset's generation, and this thread's id as the kernel names it to others. */
  generation(): { readonly id: number; readonly thread: number };
  /** Tables of family inet. `owner`: netlink port of the open socket it lives with, or null. */
  tables(): ReadonlyMap<string, { readonly owner: number | null }>;
  /** "family table" of those of all families whose chains no packet enters. */
  dormantTables(): ReadonlySet<string>;
  /** Adds all elements to `into`, and returns how many there are that no row of ours can be. */
  elements(table: string, set: number, layout: SetLayout, into: ElementColumns): number;
  /** The element that holds this key (in an interval set: its first port), or null. */
  element(table: string, layout: SetLayout, fields: ElementFields): ElementFields | null;
  flows(direction: "original" | "reply", address: FlowAddress): Flow[];
  /** A flow that is gone meanwhile is a success. */
  forgetFlow(flow: Flow): void;
  markFlow(flow: Flow, mark: number): void;
  close(): void;
}

export function openNetfilter(): Netfilter {
  const socket = new NetlinkSocket(null);
  return {
    generation: () => readGeneration(socket),
    tables: () => readTables(socket),
    dormantTables: () => readDormantTables(socket),
    elements: (table, set, layout, into) => readElements(socket, table, set, layout, into),
    element: (table, layout, fields) => readElement(socket, table, layout, fields),
    flows: (direction, address) => readFlows(socket, direction, address),
    forgetFlow: (flow) => void unlessGone(() => socket.request(deleteFlowRequest(flow), () => {})),
    markFlow: (flow, mark) => void unlessGone(() => socket.request(markFlowRequest(flow, mark), () => {})),
    close: () => socket.close(),
  };
}

/** Undefined where the kernel says ENOENT. */
function unlessGone<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof NetlinkError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function readGeneration(socket: NetlinkSocket): { id: number; thread: number } {
  const generation = { id: 0, thread: 0 };
  const ask = message(NFT_SUBSYSTEM | NFT_MSG_GETGEN, NLM_F_REQUEST | NLM_F_ACK, 0, []);
  socket.request(ask, (bytes, { start, end }) => {
    generation.id = attributeUint32(bytes, start, end, NFTA_GEN_ID) ?? 0;
    // The process it names is the asking thread: the same number as in notifications, in a PID namespace too.
    generation.thread = attributeUint32(bytes, start, end, NFTA_GEN_PROC_PID) ?? 0;
  });
  return generation;
}

function readTables(socket: NetlinkSocket): Map<string, { owner: number | null }> {
  const tables = new Map<string, { owner: number | null }>();
  socket.request(
    message(NFT_SUBSYSTEM | NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_DUMP, NFPROTO_INET, []),
    (bytes, view) => {
      const name = attributeText(bytes, view.start, view.end, NFTA_TABLE_NAME);
      const owner = attributeUint32(bytes, view.start, view.end, NFTA_TABLE_OWNER);
      if (name !== null) tables.set(name, { owner });
    },
  );
  return tables;
}

/** include/uapi/linux/netfilter.h, by nft's names; others filter nothing that is routed. */
const FAMILIES: Readonly<Record<number, string>> = { 1: "inet", 2: "ip", 10: "ip6" };
const NFPROTO_UNSPEC = 0;

function readDormantTables(socket: NetlinkSocket): Set<string> {
  const dormant = new Set<string>();
  const ask = message(NFT_SUBSYSTEM | NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_DUMP, NFPROTO_UNSPEC, []);
  socket.request(ask, (bytes, { start, end }) => {
    const family = FAMILIES[bytes[start - NFGENMSG_SIZE] ?? NFPROTO_UNSPEC];
    const name = attributeText(bytes, start, end, NFTA_TABLE_NAME);
    const flags = attributeUint32(bytes, start, end, NFTA_TABLE_FLAGS) ?? 0;
    if (family !== undefined && name !== null && (flags & NFT_TABLE_F_DORMANT) !== 0) dormant.add(`${family} ${name}`);
  });
  return dormant;
}

function readElements(
  socket: NetlinkSocket,
  table: string,
  set: number,
  layout: SetLayout,
  into: ElementColumns,
): number {
  const length = into.length;
  for (let attempt = 1; ; attempt += 1) {
    into.truncate(length);
    let strays = 0;
    const answer = unlessGone(() =>
      socket.request(elementsRequest(table, layout.name), (bytes, { start, end }) =>
        decodeElements(bytes, start, end, set, layout, (fields) => {
          if (fields === null) strays += 1;
          else into.push(fields);
        }),
      ),
    );
    if (answer?.interrupted !== true || attempt === INTERRUPTED_MAX) return strays;
  }
}

function readElement(
  socket: NetlinkSocket,
  table: string,
  layout: SetLayout,
  wanted: ElementFields,
): ElementFields | null {
  let found: ElementFields | null = null;
  unlessGone(() =>
    socket.request(elementRequest(table, layout, wanted), (bytes, { start, end }) =>
      decodeElements(bytes, start, end, wanted.set, layout, (fields) => {
        found = fields;
      }),
    ),
  );
  return found;
}

function readFlows(socket: NetlinkSocket, direction: "original" | "reply", address: FlowAddress): Flow[] {
  const flows: Flow[] = [];
  // A listing walks every bucket of the kernel's table, which takes 9 ms where there are 262,144, also for nothing.
  if (countFlows(socket) === 0) return flows;
  socket.request(flowsRequest(direction, address), (bytes, { start, end }) => {
    const flow = decodeFlow(bytes, start, end);
    if (flow !== null && flow[direction].destination === address) flows.push(flow);
  });
  return flows;
}

function countFlows(socket: NetlinkSocket): number {
  let count = 0;
  socket.request(flowCountRequest(), (bytes, { start, end }) => {
    count = decodeFlowCount(bytes, start, end) ?? 0;
  });
  return count;
}
