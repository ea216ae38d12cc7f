/** The first thing that each side of a session says. */
import { create } from "@bufbuild/protobuf";
import packageJson from "../../package.json";
import { type Hello, HelloSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { bootId } from "./facts.ts";
import { PROTOCOL_VERSION } from "./messages.ts";

export const PRODUCT = `fastsync ${packageJson.version}`;

/** `own`: the boot id of the machine that this side stands for. */
export function greeting(own: string = bootId()): Hello {
  return create(HelloSchema, {
    protocolMin: PROTOCOL_VERSION,
    protocolMax: PROTOCOL_VERSION,
    product: PRODUCT,
    bootId: own,
  });
}

export function isCompatible({ protocolMin, protocolMax }: Hello): boolean {
  return protocolMin <= PROTOCOL_VERSION && PROTOCOL_VERSION <= protocolMax;
}

/** For people: who speaks what. */
export function versionsOf(hello: Hello, peer: string): string {
  return `${peer} (${hello.product}) speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this side (${PRODUCT}) ${PROTOCOL_VERSION}; bring the older one up to date`;
}
