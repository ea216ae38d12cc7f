/** Preloaded where behaviours run with one side behind a daemon: ends the daemons when the last test is over. */
import { afterAll } from "bun:test";
import { stopDaemons } from "../support/placement.ts";

afterAll(stopDaemons);
