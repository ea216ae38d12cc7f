/**
 * Whose a job is, as long as nobody proves who he is.
 *
 *     from another machine     whoever calls from the same address
 *     from this machine        whoever runs as the same user, as the kernel says of the caller's socket
 *     the administrator        with `admin = true`: on this machine, root and the daemon's own user
 *
 * An address is a weak proof: it can be taken over, and all users of a machine share it. What it opens is no more than
 * what everybody at that address could do anyway: to be told of those jobs, and to stop them.
 */
import { formatIp, isLoopback, parseIp } from "../../core/ip.ts";

/** What a caller's socket tells of it. */
export interface Caller {
  readonly peer: string;
  /** The user at the other end of a connection from this machine; undefined: from elsewhere, or not known. */
  readonly user: Promise<number | undefined>;
}

export interface JobRights {
  /** Its own jobs have this owner; undefined: it has none. */
  readonly owner: string | undefined;
  readonly isAdmin: boolean;
}

/** The same for everybody whose jobs these are, and for nobody else; undefined: nobody can tell. */
export async function ownerOf({ peer, user }: Caller): Promise<string | undefined> {
  if (isLoopback(peer)) {
    const uid = await user;
    return uid === undefined ? undefined : `user ${uid}`;
  }
  const address = parseIp(peer);
  // The zone of a link-local address: the same one on another link is somebody else.
  const zone = /%.*$/.exec(peer)?.[0] ?? "";
  return address === undefined ? undefined : `address ${formatIp(address)}${zone}`;
}

export async function rightsOf(caller: Caller, admin: boolean): Promise<JobRights> {
  const [owner, user] = await Promise.all([ownerOf(caller), caller.user]);
  const own = process.geteuid?.();
  return {
    owner,
    isAdmin: admin && isLoopback(caller.peer) && user !== undefined && (user === 0 || user === own),
  };
}

export function mayKnow({ owner, isAdmin }: JobRights, job: { readonly owner: string | undefined }): boolean {
  return isAdmin || (owner !== undefined && owner === job.owner);
}
