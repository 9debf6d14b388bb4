/** Of the HAProxy that leads TLS names to their hosts. */
export interface ProxyCondition {
  /** One of ours runs, and answers. */
  readonly running: boolean;
  /** Why none could be started; null: one could. */
  readonly missing: string | null;
}
