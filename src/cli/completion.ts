import type { Argument, Command, Option } from "commander";

/** What can be typed for an option or an argument: one of some words, a file, or what no shell can know. */
type Values = readonly string[] | "file" | "unknown";

interface Word {
  readonly name: string;
  readonly description: string;
}

interface Flag extends Word {
  /** Null: it takes no value. */
  readonly values: Values | null;
}

/** Each place in the command tree: the words that lead there, and what can follow. */
interface Place {
  readonly path: string;
  readonly words: readonly Word[];
  readonly flags: readonly Flag[];
  /** Of all its arguments. */
  readonly values: Values;
}

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that completes nouns, verbs, options and their values; made from the very tree that parses them. */
export function completionScript(program: Command, shell: Shell): string {
  return SCRIPTS[shell](placesOf(program, "", []));
}

const SCRIPTS: Readonly<Record<Shell, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

function placesOf(command: Command, path: string, inherited: readonly Flag[]): Place[] {
  const own = command.options.flatMap((option) => {
    const { long, description, required, optional } = option;
    return long ? [{ name: long, description, values: required || optional ? valuesOf(option) : null }] : [];
  });
  const flags = [...own, ...inherited];
  const words = command.commands.map((each) => ({ name: each.name(), description: each.description() }));
  const values = command.registeredArguments.map(valuesOf).find((each) => each !== "unknown") ?? "unknown";
  const further = path === "" ? flags : inherited;
  return [
    { path, words, flags, values },
    ...command.commands.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim(), further)),
  ];
}

function valuesOf(each: Option | Argument): Values {
  if (each.argChoices !== undefined) return each.argChoices;
  const name = "flags" in each ? (/[<[]([^>\]]+)[>\]]/.exec(each.flags)?.[1] ?? "") : each.name();
  return /^(file|dir|path)$/.test(name) ? "file" : "unknown";
}

const withValue = (places: readonly Place[]): string[] => [
  ...new Set(places.flatMap(({ flags }) => flags.flatMap(({ name, values }) => (values === null ? [] : [name])))),
];

/** Single quotes mean themselves in every shell; a quote inside is written as each of them wants it. */
const quoted = (text: string, quote: string): string => `'${text.replaceAll("'", quote)}'`;

/**
 * In bash and in zsh: sets `place` to the deepest known place of the words before the cursor, and `flag` to the option
 * whose value is typed. What follows `plan` is a command of its own.
 */
const walk = (places: readonly Place[], count: string, word: string): string => `
  local place="" flag="" word next i
  for ((i = 1; i < ${count}; i++)); do
    word="${word}"
    case "$word" in
      ${withValue(places).join("|")})
        ((i++))
        if ((i == ${count})); then flag="$word"; fi ;;
      -*) ;;
      *)
        next="$place $word"
        if [[ "$place" == "" || "$place" == plan ]]; then next="$word"; fi
        case "$next" in
          ${places.flatMap(({ path }) => (path === "" ? [] : [`"${path}"`])).join("|")}) place="$next" ;;
        esac ;;
    esac
  done`;

function bashScript(places: readonly Place[]): string {
  const offer = (values: Values): string =>
    values === "file" ? "files=yes" : values === "unknown" ? "" : `words="${values.join(" ")}"`;
  const flagCases = places.flatMap(({ path, flags }) =>
    flags.flatMap(({ name, values }) => (values === null ? [] : [`      "${path} ${name}") ${offer(values)} ;;`])),
  );
  const placeCases = places.map(({ path, words, flags, values }) => {
    const all = [...words, ...flags].map(({ name }) => name);
    const more = values === "file" ? " files=yes" : "";
    return `      "${path}") words="${[...all, ...(typeof values === "string" ? [] : values)].join(" ")}"${more} ;;`;
  });
  return `# portreeve completion: source it, or put it into /usr/share/bash-completion/completions/portreeve
_portreeve() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" words="" files=""${walk(places, "COMP_CWORD", "${COMP_WORDS[i]}")}
  if [[ "$flag" != "" ]]; then
    case "$place $flag" in
${flagCases.join("\n")}
    esac
  else
    case "$place" in
${placeCases.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ "$files" != "" && "$cur" != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _portreeve portreeve
`;
}

function zshScript(places: readonly Place[]): string {
  const described = ({ name, description }: Word): string =>
    quoted(`${name.replaceAll(":", "\\:")}:${description}`, "'\\''");
  const offer = (values: Values): string =>
    values === "file" ? "_files" : values === "unknown" ? "_message value" : `compadd -- ${values.join(" ")}`;
  const flagCases = places.flatMap(({ path, flags }) =>
    flags.flatMap(({ name, values }) => (values === null ? [] : [`      "${path} ${name}") ${offer(values)} ;;`])),
  );
  const placeCases = places.map(({ path, words, flags, values }) => {
    const lists = [
      ...(words.length === 0 ? [] : [`offered=(${words.map(described).join(" ")}); _describe command offered`]),
      ...(values === "unknown" ? [] : [offer(values)]),
      `offered=(${flags.map(described).join(" ")}); _describe option offered`,
    ];
    return `      "${path}") ${lists.join("; ")} ;;`;
  });
  return `#compdef portreeve
# portreeve completion: put it into a folder of $fpath, as _portreeve
_portreeve() {
  local -a offered${walk(places, "CURRENT - 1", "${words[i + 1]}")}
  if [[ "$flag" != "" ]]; then
    case "$place $flag" in
${flagCases.join("\n")}
    esac
  else
    case "$place" in
${placeCases.join("\n")}
    esac
  fi
}
if [[ "$funcstack[1]" == _portreeve ]]; then _portreeve "$@"; else compdef _portreeve portreeve; fi
`;
}

function fishScript(places: readonly Place[]): string {
  const text = (words: string): string => quoted(words, "\\'");
  const offer = (values: Values | null): string => {
    if (values === null) return "";
    return values === "file" ? " -r -F" : values === "unknown" ? " -x" : ` -x -a ${text(values.join(" "))}`;
  };
  const option = (where: string, { name, description, values }: Flag): string =>
    `complete -c portreeve${where} -l ${name.slice(2)}${offer(values)} -d ${text(description)}`;
  const everywhere = places[0]?.flags ?? [];
  const lines = places.flatMap(({ path, words, flags, values }) => {
    const here = ` -n ${text(`test (__portreeve_place) = "${path}"`)}`;
    return [
      ...words.map(({ name, description }) => `complete -c portreeve${here} -a ${name} -d ${text(description)}`),
      ...(values === "file" ? [`complete -c portreeve${here} -F`] : []),
      ...(typeof values === "string" ? [] : [`complete -c portreeve${here} -a ${text(values.join(" "))}`]),
      ...flags.filter((flag) => !everywhere.includes(flag)).map((flag) => option(here, flag)),
    ];
  });
  const known = places.flatMap(({ path }) => (path === "" ? [] : [`"${path}"`])).join(" ");
  return `# portreeve completion: put it into ~/.config/fish/completions/portreeve.fish
function __portreeve_place
    set -l words (commandline -opc)
    set -e words[1]
    set -l place ""
    set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
        else if contains -- $word ${withValue(places).join(" ")}
            set skip yes
        else if not string match -q -- '-*' $word
            set -l next (string trim "$place $word")
            if test "$place" = plan
                set next $word
            end
            if contains -- $next ${known}
                set place $next
            end
        end
    end
    echo $place
end
complete -c portreeve -f
${[...everywhere.map((flag) => option("", flag)), ...lines].join("\n")}
`;
}
