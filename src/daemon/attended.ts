/**
 * A stream of answers and who takes it. While nothing is found the caller hears that the work goes on; a caller that takes
 * nothing for too long, or is gone, ends the work, whatever the library above does about it.
 */
export interface Attending<T> {
  /** An answer that says nothing. */
  readonly alive: () => T;
  readonly aliveMs: number;
  /** For a caller that takes nothing. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** Of the failure that the caller gets then. */
  readonly abandoned: () => Error;
}

/** `work` gets a signal of its own, which is aborted when the work is to end, at whatever it is. */
export function attended<T>(
  work: (signal: AbortSignal) => AsyncGenerator<T>,
  attending: Attending<T>,
): AsyncIterable<T> {
  const { alive, aliveMs, idleMs, signal, abandoned } = attending;
  const stop = new AbortController();
  const inner = work(stop.signal);
  let pending: Promise<IteratorResult<T>> | undefined;
  let idle: ReturnType<typeof setTimeout> | undefined;
  let failure: Error | undefined;
  const end = (): void => {
    clearTimeout(idle);
    signal.removeEventListener("abort", end);
    stop.abort();
    inner.return(undefined).catch(() => undefined);
  };
  signal.addEventListener("abort", end);
  // Aborted before, it tells nobody.
  if (signal.aborted) end();
  /** From an answer, whatever it says, to the call for the next. */
  const attend = (): void => {
    if (stop.signal.aborted) return;
    idle = setTimeout(() => {
      failure = abandoned();
      end();
    }, idleMs);
  };
  const settle = (result: IteratorResult<T>): IteratorResult<T> => {
    pending = undefined;
    if (result.done) end();
    else attend();
    return result;
  };
  const iterator: AsyncIterator<T> = {
    async next() {
      clearTimeout(idle);
      if (failure !== undefined) throw failure;
      pending ??= inner.next();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const quiet = new Promise<"quiet">((resolve) => {
        timer = setTimeout(() => resolve("quiet"), aliveMs);
      });
      try {
        const first = await Promise.race([pending, quiet]);
        if (first !== "quiet") return settle(first);
        attend();
        return { done: false, value: alive() };
      } catch (error) {
        end();
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    async return() {
      end();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
