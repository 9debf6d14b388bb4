import type { ObjectChange, PlanDocument } from "../api/schemas/plan.ts";
import { UNMADE_KEY } from "../lib/wireguard-key.ts";
import { eventText } from "./event-text.ts";
import { printable } from "./terminal.ts";

const ROW_SIGNS = { create: "+", update: "~", delete: "-" } as const;
const OBJECT_SIGNS = { add: "+", change: "~", remove: "-" } as const;

/** What would happen, from what a person sees down to the rows of the kernel. */
export function planText(plan: PlanDocument): string {
  const { seq, events, objects, changes, undoable, because } = plan;
  if (events.length === 0) return `Nothing would change (at record ${seq}).\n`;
  const lines = [
    ...(objects.length === 0 ? [] : [`At record ${seq} this would change`, ...objects.map(objectText)]),
    `${objects.length === 0 ? `At record ${seq} this would` : "It would"} log`,
    ...events.map(({ type, data }) => `  ${type}  ${printable(eventText(type, data))}`),
    changes.length === 0 ? "and change nothing in the kernel." : "and change in the kernel",
    ...changes.map(
      ({ op, reconciler, key }) =>
        `  ${ROW_SIGNS[op]} ${reconciler}  ${printable(key.replace(UNMADE_KEY, "(a new key)"))}`,
    ),
    ...checkLines(plan),
    undoable ? "It can be undone." : `It can't be undone: ${printable(because ?? "")}.`,
  ];
  return `${lines.join("\n")}\n`;
}

/** "+ port 8443/tcp: to 192.168.7.2:443, on wan0", "~ port 8443/tcp: label none → web". */
export function objectText({ op, kind, name, fields }: ObjectChange): string {
  const said = fields.map(({ field, before, after }) => {
    if (op === "change") return `${field} ${before ?? "nothing"} → ${after ?? "nothing"}`;
    return `${field} ${after ?? before ?? ""}`;
  });
  const text = said.length === 0 ? "" : `: ${said.join(", ")}`;
  return `  ${OBJECT_SIGNS[op]} ${kind} ${printable(`${name}${text}`)}`;
}

function checkLines({ checks }: PlanDocument): string[] {
  const refused = checks.flatMap(({ reconciler, refused: rows }) =>
    rows.map(({ key, message, code }) => `  ! ${reconciler}  ${printable(`${key}: ${message} (${code})`)}`),
  );
  const unchecked = checks.flatMap(({ reconciler, unchecked: why }) => (why === null ? [] : [`${reconciler}: ${why}`]));
  return [
    ...(refused.length > 0 ? ["The kernel would refuse", ...refused] : []),
    ...unchecked.map((each) => `Not checked by the kernel: ${printable(each)}`),
    ...(checks.length > 0 && refused.length + unchecked.length === 0 ? ["The kernel, asked beforehand, agrees."] : []),
  ];
}
