/** A listening socket to hand to another process, as systemd does. */
export interface GivenSocket extends Disposable {
  readonly fd: number;
  readonly port: number;
  /** The other process has it: connections shall not come to us. */
  readonly release: () => void;
}

export function givenSocket(): GivenSocket {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  // The property is there, and not in the types.
  const { fd } = listener as unknown as { readonly fd: number };
  const release = (): void => listener.stop(true);
  return { fd, port: listener.port, release, [Symbol.dispose]: release };
}
