/**
 * SIGINT, SIGTERM and SIGHUP: the first asks the run to stop in order, a second one ends the process at once.
 *
 * One wish may arrive twice: timeout(1) signals the process and then its group, and a terminal signals the launcher,
 * which passes it on, and this process. So signals that come within moments of the first count as one with it.
 */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const SAME_WISH_MS = 250;

export interface StopHandlers {
  readonly onFirst: (signal: string) => void;
  readonly onSecond: (signal: string) => void;
}

export function onStopSignals({ onFirst, onSecond }: StopHandlers): Disposable {
  let firstMs: number | undefined;
  const handle = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      onFirst(signal);
    } else if (nowMs - firstMs >= SAME_WISH_MS) {
      onSecond(signal);
    }
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handle);
  return {
    [Symbol.dispose]: () => {
      for (const signal of STOP_SIGNALS) process.off(signal, handle);
    },
  };
}
