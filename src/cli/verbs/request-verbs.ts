import type { Command } from "commander";
import type { RequestDocument } from "../../api/schemas/status.ts";
import type { Cli } from "../cli.ts";
import { whenText } from "../duration.ts";
import { examples, noun } from "../program-parts.ts";
import { textTable } from "../text-table.ts";

interface RequestOptions {
  readonly limit: string;
  readonly from?: string;
  readonly decision?: string;
  readonly pending?: true;
}

export function addRequestVerbs(program: Command, cli: Cli): void {
  const request = noun(program, "request", "what was asked and what was decided");
  const list = request
    .command("list")
    .description("the last requests, newest first; refusals too, in words")
    .option("--limit <n>", "how many", "50")
    .option("--from <who>", "address of a device, `socket` or `token`")
    .option("--decision <word>", "only refused, granted, renewed, released, answered or dropped ones")
    .option("--pending", "only those that wait for a yes; `portreeve device allow` gives it")
    .action(async ({ pending, ...rest }: RequestOptions) => {
      const query = { ...rest, ...(pending === true && { code: "APPROVAL_PENDING" }) };
      const requests = await cli.client.call<RequestDocument[]>({ path: "/requests", query });
      await cli.show(requests, () => {
        if (requests.length === 0) return "Nothing was asked since the start, or nothing that fits.\n";
        return textTable(
          ["WHEN", "FROM", "BY", "REQUEST", "DECISION", "WHY"],
          requests.map((each) => row(each, cli.now)),
          cli.paint,
        );
      });
    });
  const lines = ["portreeve request list --decision refused", "portreeve request list --pending"];
  for (const each of [request, list]) examples(each, lines);
}

function row({ at, from, protocol, request, decision, code, message }: RequestDocument, now: number) {
  const bad = decision === "refused" || decision === "dropped";
  const why = code === null ? message : `${message} (${code})`;
  return [whenText(at, now), from, protocol, request, bad ? { text: decision, style: "red" as const } : decision, why];
}
