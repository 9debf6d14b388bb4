/** 32 bytes in base64, as WireGuard writes a key: the last of 43 digits holds four bits. */
export const WIREGUARD_KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Stands in a plan for a key that is made when it is carried out: four bytes that count, and nothing after them. */
export const UNMADE_KEY = /[A-Za-z0-9+/]{6}A{37}=/;
