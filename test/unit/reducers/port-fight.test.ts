import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import type { Settings } from "../../../src/events/settings.ts";
import { redirectRivals } from "../../../src/reducers/select/proxy-need.ts";
import { Arena, type Asker, CONTENDERS, type Contender, type Told } from "./contenders.ts";

/**
 * What becomes of the second that asks for an external port, where the first has it:
 *
 *              the second is told    has the port        when the winner is gone
 *   joins      success               both, one target    the other still has it
 *   renews     success               both are one claim  nobody
 *   confirmed  success               an operator's       nobody, until the device asks again
 *   beside     success               each its own part   the other still has its own
 *   elsewhere  success, another port the first           nobody; the second keeps the other port
 *   ousts      success               the second          nobody, until the first asks again
 *   an error   that                  the first           nobody, until the second asks again
 *
 * Written by hand, from RFC 6887 §11.3, RFC 6886 §3.3, WANIPConnection:2 §2.5.16 and §2.5.17, and from what we promise:
 * a conflict is named and never with oneself, an operator wins over devices, names share a port with what is left of it.
 */
const COLUMNS = ["pcp", "exact", "name", "natpmp", "add", "any", "forward", "route"] as const;
type Name = (typeof COLUMNS)[number];

// The first has the row, the second the column. Error words are of the second's protocol: PCP's and NAT-PMP's results,
// UPnP's numbers, HTTP's status and our code.
const SAME_PORT_OF_THE_SAME_DEVICE = `
          pcp        exact      name    natpmp     add        any        forward         route
pcp       renews     joins      beside  joins      joins      joins      joins           beside
exact     joins      renews     beside  joins      joins      joins      joins           beside
name      beside     beside     renews  beside     beside     beside     beside          joins
natpmp    joins      joins      beside  renews     joins      joins      joins           beside
add       joins      joins      beside  joins      renews     renews     joins           beside
any       joins      joins      beside  joins      renews     renews     joins           beside
forward   confirmed  confirmed  beside  confirmed  confirmed  confirmed  409:PORT_TAKEN  beside
route     beside     beside     confirmed beside   beside     beside     beside          409:PORT_TAKEN
`;

const ANOTHER_PORT_OF_THE_SAME_DEVICE = `
          pcp        exact   name     natpmp     add       any        forward         route
pcp       elsewhere  PCP:11  beside   elsewhere  UPnP:718  elsewhere  ousts           beside
exact     elsewhere  PCP:11  beside   elsewhere  UPnP:718  elsewhere  ousts           beside
name      beside     beside  ousts    beside     beside    beside     beside          ousts
natpmp    elsewhere  PCP:11  beside   elsewhere  UPnP:718  elsewhere  ousts           beside
add       elsewhere  PCP:11  beside   elsewhere  ousts     ousts      ousts           beside
any       elsewhere  PCP:11  beside   elsewhere  ousts     ousts      ousts           beside
forward   elsewhere  PCP:11  beside   elsewhere  UPnP:729  elsewhere  409:PORT_TAKEN  beside
route     beside     beside  PCP:192  beside     beside    beside     beside          409:PORT_TAKEN
`;

const ANOTHER_DEVICE = `
          pcp        exact   name     natpmp     add       any        forward         route
pcp       elsewhere  PCP:11  PCP:11   elsewhere  UPnP:718  elsewhere  ousts           beside
exact     elsewhere  PCP:11  PCP:11   elsewhere  UPnP:718  elsewhere  ousts           beside
name      beside     beside  PCP:192  beside     beside    beside     beside          ousts
natpmp    elsewhere  PCP:11  PCP:11   elsewhere  UPnP:718  elsewhere  ousts           beside
add       elsewhere  PCP:11  PCP:11   elsewhere  UPnP:718  elsewhere  ousts           beside
any       elsewhere  PCP:11  PCP:11   elsewhere  UPnP:718  elsewhere  ousts           beside
forward   elsewhere  PCP:11  PCP:11   elsewhere  UPnP:729  elsewhere  409:PORT_TAKEN  beside
route     beside     beside  PCP:192  beside     beside    beside     beside          409:PORT_TAKEN
`;

/** Ports below 1024 nobody is given by UPnP; else the table is the one above. */
const BY_UPNP_BELOW_1024: Readonly<Record<"add" | "any", (above: string) => string>> = {
  add: () => "UPnP:606",
  any: (above) => (["joins", "confirmed"].includes(above) ? above : "elsewhere"),
};

const ONE: Asker = { device: "one", internalPort: 8443 };
const RIVALS = [
  ["the same port of the same device", SAME_PORT_OF_THE_SAME_DEVICE, ONE],
  ["another port of the same device", ANOTHER_PORT_OF_THE_SAME_DEVICE, { ...ONE, internalPort: 9443 }],
  ["another device", ANOTHER_DEVICE, { ...ONE, device: "two" }],
] as const;

function rowsOf(table: string): { first: Name; second: Name; expected: string }[] {
  const [head = [], ...lines] = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  expect(head).toEqual([...COLUMNS]);
  expect(lines.map(([first]) => first)).toEqual([...COLUMNS]);
  return lines.flatMap(([first, ...cells]) => {
    expect(cells).toHaveLength(COLUMNS.length);
    return cells.map((expected, index) => ({ first: first as Name, second: COLUMNS[index] as Name, expected }));
  });
}

const SUCCESSES = ["joins", "renews", "confirmed", "beside", "elsewhere", "ousts"];
const told = (said: Told): string => ("port" in said ? String(said.port) : said.error.replace(" ", ":"));

interface Fight {
  readonly first: Contender;
  readonly second: Contender;
  readonly rival: Asker;
  readonly port: number;
  readonly expected: string;
}

/** Both ask, and the table is right about what the second hears and who has the port then. */
async function fought({ first, second, rival, port, expected }: Fight): Promise<{ arena: Arena; elsewhere: number }> {
  const arena = new Arena();
  expect(told(await first.ask(arena, ONE, port, 600))).toBe(String(port));
  const [holder] = arena.mappings();
  const said = await second.ask(arena, rival, port, 7200);
  const has = { first: arena.led(port, first.named), second: arena.led(port, second.named) };
  if (!SUCCESSES.includes(expected)) {
    expect(told(said)).toBe(expected);
    const sentence = "sentence" in said ? said.sentence : "";
    // What is in the way is named; where the port itself is not to be had, it is.
    if (expected === "UPnP:606") expect(sentence).toContain(String(port));
    else expect(sentence).toContain(holder?.id);
  }
  expect(has.first).toBe(arena.target(expected === "ousts" ? rival : ONE));
  if (["joins", "renews", "confirmed", "beside"].includes(expected)) {
    expect(told(said)).toBe(String(port));
    expect(has.second).toBe(arena.target(rival));
  }
  const elsewhere = "port" in said ? said.port : 0;
  if (expected === "elsewhere") {
    expect(elsewhere).not.toBe(port);
    expect(arena.led(elsewhere, false)).toBe(arena.target(rival));
  }
  return { arena, elsewhere };
}

const GOING = ["is deleted", "expires", "goes with its device"] as const;

async function goes(how: (typeof GOING)[number], arena: Arena, winner: Contender, asker: Asker, port: number) {
  if (how === "is deleted") await winner.leave(arena, asker, port);
  else if (how === "goes with its device") arena.do({ type: "device.remove", id: arena.find(asker.device).id });
  else arena.later(asker === ONE ? 601 : 7201).do({ type: "leases.expire" });
}

/** The winner goes; who has the port then, and that whoever lost has it when it asks again. */
async function inherited(how: (typeof GOING)[number], fight: Fight): Promise<void> {
  const { first, second, rival, port, expected } = fight;
  const { arena, elsewhere } = await fought(fight);
  const ousted = expected === "ousts";
  const [winner, loser] = ousted ? ([second, first] as const) : ([first, second] as const);
  const [gone, left] = ousted ? ([rival, ONE] as const) : ([ONE, rival] as const);
  // A renewed claim is the second's, and ends when that said.
  if (how === "expires" && expected === "renews") return;
  await goes(how, arena, winner, ousted ? { ...rival } : gone, port);
  const alone = how === "goes with its device" && gone.device === left.device;
  const keeps = !alone && (expected === "joins" || expected === "beside");
  // By an operator's word a forward goes for all who asked for it.
  expect(arena.led(port, loser.named)).toBe(keeps ? arena.target(left) : null);
  if (first.named !== second.named) expect(arena.led(port, winner.named)).toBe(null);
  if (alone || keeps) return;
  if (expected === "elsewhere") expect(arena.led(elsewhere, false)).toBe(arena.target(rival));
  if (expected === "elsewhere") return;
  // Below 1024 UPnP had a part in what was there, and gets nothing of its own.
  if (expected === "UPnP:606" || (port < 1024 && loser === CONTENDERS.any)) return;
  arena.later(121);
  expect(told(await loser.ask(arena, left, port, 600))).toBe(String(port));
  expect(arena.led(port, loser.named)).toBe(arena.target(left));
}

describe("[P6] a fight over one port", () => {
  for (const [whose, table, rival] of RIVALS) {
    it.each(rowsOf(table))(`8443: $first, then $second of ${whose}: $expected`, async ({ first, second, expected }) => {
      const fight = { first: CONTENDERS[first], second: CONTENDERS[second], rival, port: 8443, expected };
      for (const how of GOING) await inherited(how, fight);
    });

    const below = rowsOf(table)
      .filter(({ first }) => first !== "add" && first !== "any")
      .map((row) => {
        const { second, expected } = row;
        return second === "add" || second === "any" ? { ...row, expected: BY_UPNP_BELOW_1024[second](expected) } : row;
      });
    it.each(below)(`443: $first, then $second of ${whose}: $expected`, async ({ first, second, expected }) => {
      const fight = { first: CONTENDERS[first], second: CONTENDERS[second], rival, port: 443, expected };
      for (const how of GOING) await inherited(how, fight);
    });
  }
});

type Choice = NonNullable<Settings["wan"]["httpRedirect"]>;

const choose = (arena: Arena, httpRedirect: Choice): void => {
  const { settings } = arena.state;
  const wan = { ...settings.wan, httpRedirect };
  arena.append([event("settings.changed", { settings: { ...settings, wan } })]);
};

/** Who asks for port 80 where HTTP is sent to HTTPS by an operator's word. */
const AGAINST_THE_REDIRECT: Readonly<Record<Name, string>> = {
  pcp: "elsewhere",
  exact: "PCP:11",
  name: "PCP:11",
  natpmp: "elsewhere",
  add: "UPnP:606",
  any: "elsewhere",
  forward: "409:PORT_PROTECTED",
  route: "409:PORT_PROTECTED",
};
const FIT_FOR_80 = COLUMNS.filter((name) => name !== "add" && name !== "any");

describe("[F6] a fight with the redirect of HTTP", () => {
  it.each(COLUMNS)("on by an operator's word, then %s", async (name) => {
    const arena = new Arena();
    choose(arena, "on");
    const contender = CONTENDERS[name];
    const said = await contender.ask(arena, ONE, 80, 600);
    const expected = AGAINST_THE_REDIRECT[name];
    if (expected === "elsewhere") expect(told(said)).toMatch(/^\d{4,5}$/);
    else expect(told(said)).toBe(expected);
    if (!["elsewhere", "UPnP:606"].includes(expected))
      expect("sentence" in said && said.sentence).toContain("wan.httpRedirect");
    expect(arena.led(80, false)).toBe("redirect");
    choose(arena, "off");
    expect(arena.led(80, false)).toBe(null);
    if (expected === "elsewhere" || expected === "UPnP:606") return;
    expect(told(await contender.ask(arena, ONE, 80, 600))).toBe("80");
    expect(arena.led(80, contender.named)).toBe(arena.target(ONE));
  });

  it.each(FIT_FOR_80.flatMap((name) => (["on", "auto"] as const).map((choice) => ({ name, choice }))))(
    "$name, then $choice: what was there keeps the port, and the redirect has it after",
    async ({ name, choice }) => {
      for (const how of GOING) {
        const arena = new Arena();
        const contender = CONTENDERS[name];
        // For "auto" there is a reason as long as somebody shares 443.
        await CONTENDERS.route.ask(arena, { device: "two", internalPort: 443 }, 443, 7200);
        expect(arena.led(80, false)).toBe("redirect");
        expect(told(await contender.ask(arena, ONE, 80, 600))).toBe("80");
        choose(arena, choice);
        expect(arena.led(80, contender.named)).toBe(arena.target(ONE));
        expect(arena.led(80, false)).not.toBe("redirect");
        // Only by an operator's word does the redirect lose anything, and then who asks the doctor is told to whom.
        const rivals = redirectRivals(arena.state).join();
        if (choice === "on") expect(rivals).toContain(arena.target(ONE).split(":")[0]);
        else expect(rivals).toBe("");
        await goes(how, arena, contender, ONE, 80);
        expect(arena.led(80, false)).toBe("redirect");
      }
    },
  );
});
