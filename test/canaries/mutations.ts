import { CLASSES } from "./list/classes.ts";
import { NETWORK } from "./list/network.ts";
import { RACES_NATIVE } from "./list/races-native.ts";
import { RACES_PORTABLE } from "./list/races-portable.ts";
import type { Mutation } from "./mutation.ts";

export const MUTATIONS: readonly Mutation[] = [...CLASSES, ...NETWORK, ...RACES_NATIVE, ...RACES_PORTABLE];
