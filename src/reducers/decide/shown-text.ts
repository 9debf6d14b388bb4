/** Lengths of `label`. */
const LENGTH_MAX = 64;
/** What turns the direction of what follows, has no picture, or is half of a character. */
const UNSHOWN = /[\p{Cc}\p{Bidi_Control}\p{Cs}]/gu;

/** What a client calls something, as it can be shown and stored; null: nothing. */
export function shownText(text: string): string | null {
  let shown = "";
  for (const character of text.replace(UNSHOWN, "").trim()) {
    if (shown.length + character.length > LENGTH_MAX) break;
    shown += character;
  }
  return shown === "" ? null : shown;
}
