import type { Workload } from "../workload.ts";
import { deep } from "./deep.ts";
import { incremental } from "./incremental.ts";
import { large } from "./large.ts";
import { million } from "./million.ts";
import { mixed } from "./mixed.ts";
import { noop, small } from "./small.ts";
import { sparse } from "./sparse.ts";
import { start } from "./start.ts";

/** In the order in which they run and are reported. */
export const WORKLOADS: readonly Workload[] = [start, small, noop, mixed, large, incremental, deep, sparse, million];
