/** Starts a program as systemd starts the service of a socket unit: `ADDRESS COMMAND...`, the socket as descriptor 3. */
export {};

const [hostname, ...command] = process.argv.slice(2) as [string, ...string[]];

const listener = Bun.listen({ hostname, port: 0, socket: { data() {} } });
// The property is there, and not in the types.
const { fd } = listener as unknown as { readonly fd: number };
// The program ends when we are killed. Only it can know its own id before it becomes what it is.
const become = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"];
const child = Bun.spawn([...become, ...command], {
  stdio: ["ignore", "inherit", "inherit", fd],
  env: { ...process.env, LISTEN_FDS: "1" },
});
listener.stop(true);
process.exit(await child.exited);
