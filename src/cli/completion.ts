import type { Command } from "commander";

/** Each place in the command tree: the words that lead there, and those that can follow. */
interface Place {
  readonly path: readonly string[];
  readonly words: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly name: string; readonly description: string; readonly takesValue: boolean }[];
}

function placesOf(command: Command, path: readonly string[], inherited: Place["options"]): Place[] {
  const own = command.options.flatMap(({ long, description, required, optional }) => {
    return long ? [{ name: long, description, takesValue: required || optional }] : [];
  });
  const options = [...own, ...inherited];
  const words = command.commands.map((each) => ({ name: each.name(), description: each.description() }));
  return [
    { path, words, options },
    ...command.commands.flatMap((each) =>
      placesOf(each, [...path, each.name()], path.length === 0 ? options : inherited),
    ),
  ];
}

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that completes nouns, verbs and options; made from the very tree that parses them. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, [], []);
  switch (shell) {
    case "bash":
      return bashScript(places);
    case "zsh":
      return `#compdef portreeve\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(places)}`;
    case "fish":
      return fishScript(places);
  }
}

function bashScript(places: readonly Place[]): string {
  const withValue = new Set(
    places.flatMap(({ options }) => options.filter((each) => each.takesValue).map((each) => each.name)),
  );
  const cases = places.map(({ path, words, options }) => {
    const all = [...words.map(({ name }) => name), ...options.map(({ name }) => name)];
    return `    "${path.join(" ")}") words="${all.join(" ")}" ;;`;
  });
  return `# portreeve completion: source it, or put it into /usr/share/bash-completion/completions/portreeve
_portreeve() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${[...withValue].join("|")}) ((i++)) ;;
      -*) ;;
      *) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  # Past the verb come its arguments: its options are still the ones to offer.
  while [[ -n "$path" && $(_portreeve_known "$path") == no && "$path" == *" "* ]]; do path="\${path% *}"; done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
_portreeve_known() {
  case "$1" in
    ${places.flatMap(({ path }) => (path.length === 0 ? [] : [`"${path.join(" ")}"`])).join("|")}) echo yes ;;
    *) echo no ;;
  esac
}
complete -F _portreeve portreeve
`;
}

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words, options }) => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const none =
      words.length === 0 ? [] : [`not __fish_seen_subcommand_from ${words.map(({ name }) => name).join(" ")}`];
    const condition = quoted([...seen, ...none].join("; and "));
    return [
      ...words.map(
        ({ name, description }) => `complete -c portreeve -f -n ${condition} -a ${name} -d ${quoted(description)}`,
      ),
      ...(path.length === 0 || words.length === 0 ? options : []).map(({ name, description, takesValue }) => {
        const value = takesValue ? " -r" : "";
        return `complete -c portreeve -n ${quoted(seen.join("; and ") || "true")} -l ${name.slice(2)}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# portreeve completion: put it into ~/.config/fish/completions/portreeve.fish\n${[...new Set(lines)].join("\n")}\n`;
}
