/** Last labels that stand for no registry's: RFC 6761, RFC 6762 appendix G, and what the DNS will never hold. */
const PRIVATE_TOP: ReadonlySet<string> = new Set([
  "corp",
  "home",
  "internal",
  "intranet",
  "lan",
  "localdomain",
  "mail",
  "private",
  "test",
]);

/** What registries of countries sell names below, nearly everywhere and in these countries. */
const SECOND_LEVEL: ReadonlySet<string> = new Set(["ac", "co", "com", "edu", "gob", "gov", "mil", "net", "org"]);
const SECOND_LEVEL_OF: Readonly<Record<string, readonly string[]>> = {
  at: ["gv", "or"],
  id: ["biz", "desa", "go", "my", "or", "sch", "web"],
  il: ["k12", "muni"],
  in: ["firm", "gen", "ind", "nic", "res"],
  jp: ["ad", "ed", "go", "gr", "lg", "ne", "or"],
  ke: ["go", "info", "me", "mobi", "ne", "or", "sc"],
  kr: ["go", "hs", "kg", "ms", "ne", "or", "pe", "re", "sc"],
  nz: ["geek", "gen", "govt", "health", "iwi", "kiwi", "maori", "school"],
  th: ["go", "in", "mi", "or"],
  tw: ["club", "ebiz", "game", "idv"],
  uk: ["ltd", "me", "nhs", "plc", "police", "sch"],
  za: ["law", "nom", "school", "web"],
};

/**
 * Whether names of many strangers are below a name, as far as its form tells: a top-level domain, or "co.uk" and its like.
 * The Public Suffix List knows more; a copy of it would be out of date when it is needed.
 */
export function isPublicSuffix(name: string): boolean {
  const [first = "", second, ...more] = name.split(".");
  if (more.length > 0) return false;
  if (second === undefined) return !PRIVATE_TOP.has(first);
  if (!/^[a-z]{2}$/.test(second)) return false;
  return SECOND_LEVEL.has(first) || (SECOND_LEVEL_OF[second] ?? []).includes(first);
}
