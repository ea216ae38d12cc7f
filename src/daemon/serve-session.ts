/**
 * One session, as the daemon sees it.
 *
 *     hello, open           within the handshake deadline
 *     the module            exists, lets this peer in, allows this role
 *     places                opened below the module's root, by held descriptors
 *     accept                with tokens for the data plane
 *     the role              talks to the caller's until it is done
 *     summary (target)      the caller prints it
 *
 * Whatever goes wrong ends this session and no other; the caller hears why where it can still be told.
 */
import { availableParallelism } from "node:os";
import { LIMITS } from "../core/limits.ts";
import { openBackend } from "../fs/open-backend.ts";
import type { ControlStream } from "../link/control-stream.ts";
import { Role } from "../wire/gen/fastsync/v1/session_pb.ts";
import { decodeOptions } from "../wire/options.ts";
import { serveDelegated } from "./served-delegation.ts";
import { type ServedEnd, ServedSession, type SessionHost } from "./served-session.ts";
import { serveSource } from "./served-source.ts";
import { serveTarget } from "./served-target.ts";

/** Serves one session to its end; never throws. */
export async function serveSession(stream: ControlStream, host: SessionHost): Promise<ServedEnd> {
  const session = new ServedSession(stream, host);
  try {
    return await run(session);
  } catch (error) {
    return session.refuse(error);
  } finally {
    await session.close();
  }
}

async function run(session: ServedSession): Promise<ServedEnd> {
  const { hello, open } = await session.opening();
  const options = decodeOptions(open.options!);
  session.checkRole(open);
  const cores = availableParallelism();
  const asked = Math.min(options.write.workers, Math.max(LIMITS.servedWorkers, cores));
  session.backend = openBackend({ workers: asked > 0 ? asked : Math.max(2, cores) });
  session.backend.setRate(options.write.rateBytesPerSecond);
  if (open.delegation !== undefined) return await serveDelegated(session, hello, open, options);
  return open.daemonRole === Role.SOURCE
    ? await serveSource(session, hello, open, options)
    : await serveTarget(session, hello, open, options);
}
