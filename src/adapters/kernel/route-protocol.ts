/** Marks our routes and rules: rtnetlink's protocol numbers from 128 on are free for programs; others leave these alone. */
export const ROUTE_PROTOCOL = 191;
