import { expect, test } from "bun:test";
import { parseNetwork } from "../../src/core/ip.ts";
import { decideDelegation, resolveHost } from "../../src/daemon/delegation.ts";

const config = (allow: string) => {
  const network = parseNetwork(allow);
  if (typeof network === "string") throw new Error(network);
  return { enabled: true, hosts: ["localhost"], networks: [network] };
};

test("the system's own names are loopback, and pass only by name", async () => {
  const named = await decideDelegation(config("10.0.0.0/8"), "localhost", resolveHost);
  expect(named.kind === "allowed" && ["127.0.0.1", "::1"].includes(named.address)).toBe(true);
  const unnamed = { ...config("0.0.0.0/0"), hosts: [] };
  expect(await decideDelegation(unnamed, "localhost", resolveHost)).toMatchObject({ reason: "address_loopback" });
});

test("a name that does not exist", async () => {
  const decision = await decideDelegation(config("10.0.0.0/8"), "no-such-host.invalid", resolveHost);
  expect(decision).toMatchObject({ kind: "refused", reason: "host_unresolvable" });
});
