import { from, Observable, type ObservableInput, type OperatorFunction } from "rxjs";

/**
 * Runs one projection at a time; of the values that arrive meanwhile only the latest is kept, and it always runs.
 * rxjs has nothing like it: `exhaustMap` loses the last value, `switchMap` leaves the side effects of several alive
 * at once, `concatMap` runs every stale one.
 */
export function conflateMap<T, R>(project: (value: T) => ObservableInput<R>): OperatorFunction<T, R> {
  return (source) =>
    new Observable<R>((subscriber) => {
      let waiting: { readonly value: T } | null = null;
      let running = false;
      let draining = false;
      let ended = false;

      const runOne = (value: T): void => {
        running = true;
        let inner: Observable<R>;
        try {
          inner = from(project(value));
        } catch (error) {
          subscriber.error(error);
          return;
        }
        subscriber.add(
          inner.subscribe({
            next: (result) => subscriber.next(result),
            error: (error: unknown) => subscriber.error(error),
            complete: () => {
              running = false;
              drain();
            },
          }),
        );
      };
      // A loop and not recursion: projections that complete at once would otherwise nest without bound.
      const drain = (): void => {
        if (draining) return;
        draining = true;
        while (!running && waiting !== null && !subscriber.closed) {
          const { value } = waiting;
          waiting = null;
          runOne(value);
        }
        draining = false;
        if (ended && !running && waiting === null) subscriber.complete();
      };

      subscriber.add(
        source.subscribe({
          next: (value) => {
            waiting = { value };
            drain();
          },
          error: (error: unknown) => subscriber.error(error),
          complete: () => {
            ended = true;
            drain();
          },
        }),
      );
    });
}
