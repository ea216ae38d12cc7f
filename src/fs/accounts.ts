/** Names of owners and groups on this machine, from /etc/passwd and /etc/group. Names are bytes, one character each. */
import { readFileSync } from "node:fs";

export type AccountKind = "user" | "group";

interface Table {
  readonly names: Map<number, string>;
  readonly ids: Map<string, number>;
}

const FILES: Readonly<Record<AccountKind, string>> = { user: "/etc/passwd", group: "/etc/group" };
const NONE: Table = { names: new Map(), ids: new Map() };
/** The highest id; the next one, -1, means "leave as it is" to chown(2). */
const MAX_ID = 0xffff_fffe;

/** As the files are when it is made. */
export class Accounts {
  private readonly tables: Readonly<Record<AccountKind, Table>>;

  constructor(read: (file: string) => Uint8Array = (file) => readFileSync(file)) {
    this.tables = { user: parse(read, FILES.user), group: parse(read, FILES.group) };
  }

  nameOf(kind: AccountKind, id: number): string | undefined {
    return this.tables[kind].names.get(id);
  }
  idOf(kind: AccountKind, name: string): number | undefined {
    return this.tables[kind].ids.get(name);
  }
}

/** Both files hold `name:password:id:...` lines; of several with one name or number the first counts. */
function parse(read: (file: string) => Uint8Array, file: string): Table {
  let text: string;
  try {
    text = Buffer.from(read(file)).toString("latin1");
  } catch {
    return NONE;
  }
  const table: Table = { names: new Map(), ids: new Map() };
  for (const line of text.split("\n")) {
    const [name, , number] = line.split(":");
    if (name === undefined || name === "" || number === undefined || !/^\d{1,10}$/.test(number)) continue;
    const id = Number(number);
    if (id > MAX_ID) continue;
    if (!table.names.has(id)) table.names.set(id, name);
    if (!table.ids.has(name)) table.ids.set(name, id);
  }
  return table;
}
