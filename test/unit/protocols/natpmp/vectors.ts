import { hex } from "../hex.ts";

/** Written by hand from the figures of RFC 6886 §3.2, §3.3 and §3.5. */
export const ADDRESS_REQUEST = hex("0000");
export const ADDRESS_REPLY = hex("00800000 00000064 0b162101");
/** TCP 8080, suggestion 8080, 7200 s. */
export const MAP_TCP = hex("00020000 1f901f90 00001c20");
export const MAP_TCP_REPLY = hex("00820000 00000064 1f901f90 00001c20");
export const VERSION_ERROR = hex("00000001 00000064");
