/**
 * The signals of a service: SIGTERM and SIGINT end it, SIGHUP makes it read its configuration again.
 *
 * A wish to stop may arrive twice: timeout(1) signals the process and then its group, and a terminal signals the
 * launcher, which passes it on, and this process. So what comes within moments of the first counts as one with it.
 */
const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;
const SAME_WISH_MS = 250;

export class ServiceSignals implements Disposable {
  /** Resolves to the first signal to stop. */
  readonly stop: Promise<string>;
  /** Resolves to the second one. */
  readonly stopAtOnce: Promise<string>;
  /** Set by whoever can reload; until then the wish is kept. */
  #onReload: (() => void) | undefined;
  #reloadWaits = false;
  readonly #off: () => void;

  constructor() {
    const first = Promise.withResolvers<string>();
    const second = Promise.withResolvers<string>();
    this.stop = first.promise;
    this.stopAtOnce = second.promise;
    let firstMs: number | undefined;
    const onStop = (signal: NodeJS.Signals): void => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        first.resolve(signal);
      } else if (nowMs - firstMs >= SAME_WISH_MS) {
        second.resolve(signal);
      }
    };
    const onHangUp = (): void => {
      if (this.#onReload === undefined) this.#reloadWaits = true;
      else this.#onReload();
    };
    for (const signal of STOP_SIGNALS) process.on(signal, onStop);
    process.on("SIGHUP", onHangUp);
    this.#off = () => {
      for (const signal of STOP_SIGNALS) process.off(signal, onStop);
      process.off("SIGHUP", onHangUp);
    };
  }

  onReload(reload: (() => void) | undefined): void {
    this.#onReload = reload;
    if (reload === undefined || !this.#reloadWaits) return;
    this.#reloadWaits = false;
    reload();
  }

  [Symbol.dispose](): void {
    this.#off();
  }
}
