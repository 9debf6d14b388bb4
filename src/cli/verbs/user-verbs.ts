import type { Command } from "commander";
import type { AccountDocument, EnrolmentDocument, LinkDocument, SessionDocument } from "../../api/schemas/account.ts";
import { qrLines } from "../../lib/qr.ts";
import type { Cli } from "../cli.ts";
import { whenText } from "../duration.ts";
import { usage } from "../exit.ts";
import { sayLink } from "../one-time-link.ts";
import { examples, noun } from "../program-parts.ts";
import { textFields, textTable } from "../text-table.ts";

/** The administrator's account, and who is signed in by it. */
export function addUserVerbs(program: Command, cli: Cli): void {
  const user = noun(program, "user", "how you sign in to the API over TCP");
  examples(user, ["portreeve user link", "portreeve user password", "portreeve user totp"]);
  examples(user.command("show"), ["portreeve user show"])
    .description("whether a password is set, whether codes are asked for")
    .action(async () => {
      const account = await cli.client.call<AccountDocument>({ path: "/account" });
      await cli.show(account, () => accountText(account, cli));
    });
  examples(user.command("password"), ["portreeve user password"])
    .description("set the password, typed or from standard input; ends all sessions")
    .action(async () => {
      const password = await newPassword(cli);
      const result = await cli.client.call({ method: "POST", path: "/password", body: { password } });
      await cli.show(result, () => "The password is set. Everyone who was signed in is signed out.\n");
    });
  examples(user.command("link"), ["portreeve user link"])
    .description("a link that lets a browser set the password, once, within a day")
    .action(async () => {
      const link = await cli.client.call<LinkDocument>({ method: "POST", path: "/sign-in-link" });
      await cli.show(link, () => `${link.url}\n`);
      sayLink(cli, link);
    });
  examples(user.command("totp"), ["portreeve user totp", "portreeve user totp --off"])
    .description("ask for a code of an authenticator app at each sign-in")
    .option("--off", "ask for none any more")
    .action(async ({ off = false }: { off?: boolean }) => await (off ? disableTotp(cli) : enableTotp(cli)));
  addSessionVerbs(program, cli);
}

function addSessionVerbs(program: Command, cli: Cli): void {
  const session = noun(program, "session", "browsers that are signed in");
  examples(session, ["portreeve session list", "portreeve session kill --all"]);
  examples(session.command("list"), ["portreeve session list"])
    .description("who is signed in, last used first")
    .action(async () => {
      const sessions = await cli.client.call<SessionDocument[]>({ path: "/sessions" });
      await cli.show(sessions, () => {
        if (sessions.length === 0) return "Nobody is signed in.\n";
        const rows = sessions.map((each) => [
          each.id,
          each.address,
          whenText(each.createdAt, cli.now),
          whenText(each.lastSeenAt, cli.now),
          whenText(each.expiresAt, cli.now),
          each.userAgent,
        ]);
        return textTable(["SESSION", "FROM", "SINCE", "LAST USED", "ENDS", "BROWSER"], rows, cli.paint);
      });
    });
  examples(session.command("kill"), ["portreeve session kill --all"])
    .description("end a session and what it has open")
    .argument("[session]", "its id")
    .option("--all", "end all of them")
    .action(async (id: string | undefined, { all = false }: { all?: boolean }) => {
      if ((id === undefined) === !all)
        throw usage("name a session, or give --all", "`portreeve session list` shows them");
      await cli.confirm(all ? "end all sessions" : `end session ${id}`);
      if (all) {
        const ended = await cli.client.call<{ ended: number }>({ method: "DELETE", path: "/sessions" });
        await cli.show(ended, () => `${ended.ended} ended.\n`);
        return;
      }
      await cli.client.call({ method: "DELETE", path: `/sessions/${encodeURIComponent(id as string)}` });
      await cli.show({ ended: 1 }, () => "It has ended.\n");
    });
}

function accountText({ password, passwordSetAt, totp, linkExpiresAt }: AccountDocument, cli: Cli): string {
  const link = linkExpiresAt === null ? "none" : `one that nobody has used, ends ${whenText(linkExpiresAt, cli.now)}`;
  return textFields(
    [
      [
        "password",
        password
          ? `set ${whenText(passwordSetAt, cli.now)}`
          : "none yet: `portreeve user link` or `portreeve user password`",
      ],
      ["codes", totp ? "asked for" : "not asked for"],
      ["link", link],
    ],
    cli.paint,
  );
}

/** Twice where a person types it: what is not shown can be mistyped. */
async function newPassword(cli: Cli): Promise<string> {
  const { terminal } = cli.outside;
  const password = await terminal.askSecret("New password: ");
  if (password === "") throw usage("no password was given", "type it, or write it to standard input");
  if (terminal.interactive && (await terminal.askSecret("Once more: ")) !== password) {
    throw usage("the two passwords differ; nothing was changed");
  }
  return password;
}

async function enableTotp(cli: Cli): Promise<void> {
  const enrolment = await cli.client.call<EnrolmentDocument>({ method: "POST", path: "/totp/enrolment" });
  if (cli.machine === null) {
    cli.say(`${qrLines(enrolment.uri).join("\n")}\nScan it with an authenticator app, or type ${enrolment.secret}`);
  } else cli.say(enrolment.uri);
  const code = (await cli.outside.terminal.askSecret("The code it shows: ")).replaceAll(/\s/g, "");
  const result = await cli.client.call({ method: "POST", path: "/totp", body: { code } });
  await cli.show(
    result,
    () => "From now on a sign-in needs a code. If the device is lost: portreeve user totp --off\n",
  );
}

async function disableTotp(cli: Cli): Promise<void> {
  await cli.confirm("ask for no codes at sign-in any more");
  const result = await cli.client.call({ method: "DELETE", path: "/totp" });
  await cli.show(result, () => "A sign-in needs the password only.\n");
}
