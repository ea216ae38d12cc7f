/** What CVS ignores by itself, as cvs(1) and rsync(1) list it. */
import { bytesOf } from "../core/paths.ts";

export const CVS_PATTERNS: readonly Uint8Array[] = [
  ..."RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$".split(" "),
  ..."*.old *.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core".split(" "),
  ...".svn/ .git/ .hg/ .bzr/".split(" "),
].map(bytesOf);
