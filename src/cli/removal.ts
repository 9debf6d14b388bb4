import type { PlanDocument } from "../api/schemas/plan.ts";
import type { Cli } from "./cli.ts";
import type { Call } from "./client.ts";

/** What its plan says of a removal, beforehand: asked once, and said again when it is done. */
export interface Removal {
  readonly question: string;
  /** ", and with it device nas and port 25565/tcp"; empty if nothing else goes. */
  readonly along: string;
}

export async function foreseeRemoval(cli: Cli, call: Call, id: string, what: string): Promise<Removal> {
  const { names, plan } = await foreseen(cli, call, id);
  const along = names === null ? "" : `, and with it ${names}`;
  const lasting = plan.undoable ? "" : ` (it can't be undone: ${plan.because})`;
  return { question: `remove ${what}${along}${lasting}`, along };
}

/** "; this ended port 25565/tcp": what goes by a change that removes nothing itself; empty if nothing does. */
export async function foreseeEnds(cli: Cli, call: Call): Promise<string> {
  const { names } = await foreseen(cli, call, null);
  return names === null ? "" : `; this ended ${names}`;
}

async function foreseen(
  cli: Cli,
  call: Call,
  id: string | null,
): Promise<{ names: string | null; plan: PlanDocument }> {
  const plan = await cli.client.call<PlanDocument>({ ...call, query: { dryRun: true } });
  const gone = plan.objects.filter((each) => each.op === "remove" && each.id !== id);
  const names = gone.map(({ kind, name }) => `${kind} ${name}`);
  const last = names.pop();
  const list = names.length === 0 ? last : `${names.join(", ")} and ${last}`;
  return { names: list ?? null, plan };
}
