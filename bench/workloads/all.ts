import type { Workload } from "../workload.ts";
import { deep } from "./deep.ts";
import { incremental } from "./incremental.ts";
import { large } from "./large.ts";
import { million } from "./million.ts";
import { mixed } from "./mixed.ts";
import { NET_BASIC } from "./net.ts";
import { NET_DELAY } from "./net-delay.ts";
import { NET_MILLION } from "./net-million.ts";
import { NET_SYMMETRY } from "./net-symmetry.ts";
import { SCALE } from "./scale.ts";
import { noop, small } from "./small.ts";
import { sparse } from "./sparse.ts";
import { start } from "./start.ts";

/** The parts of the report; each is made on its own. */
export const PARTS = ["local", "net", "scale"] as const;
export type Part = (typeof PARTS)[number];
/** What runs when no part is named: `scale` takes the better part of an hour. */
export const USUAL_PARTS: readonly Part[] = ["local", "net"];

/** In the order in which they run and are reported. */
export const WORKLOADS: Readonly<Record<Part, readonly Workload[]>> = {
  local: [start, small, noop, mixed, large, incremental, deep, sparse, million],
  net: [...NET_BASIC, ...NET_DELAY, ...NET_SYMMETRY, ...NET_MILLION],
  scale: SCALE,
};
