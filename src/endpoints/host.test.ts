/** How a daemon without a place is written. */
import { expect, test } from "bun:test";
import { bytesOf } from "../core/paths.ts";
import { parseHost } from "./host.ts";
import { EndpointError } from "./parse.ts";

test.each([
  ["nas", "nas", 9040],
  ["nas:", "nas", 9040],
  ["nas:1234", "nas", 1234],
  ["nas.lan:1234:", "nas.lan", 1234],
  ["10.0.0.5", "10.0.0.5", 9040],
  ["[2001:db8::5]", "2001:db8::5", 9040],
  ["[fe80::1%eth0]:1234", "fe80::1%eth0", 1234],
  ["fastsync://nas:1234/", "nas", 1234],
  ["fastsync://nas", "nas", 9040],
])("%s", (word, host, port) => {
  expect(parseHost(bytesOf(word))).toEqual({ host, port });
});

test.each([
  ["2001:db8::5", "Write [2001:db8::5]"],
  ["nas:/photos/", "without a module: nas"],
  ["nas:1234:/photos/", "without a module: nas:1234"],
  ["nas:99999", "A daemon is written HOST, HOST:PORT or [IPV6]:PORT"],
  ["me@nas", "A daemon is written"],
  ["", "A daemon is written"],
  ["/srv/photos", "A daemon is written"],
  ["[nas]", "A daemon is written"],
  ["sftp://nas", "A daemon is written"],
])("%s is none", (word, way) => {
  let error: unknown;
  try {
    parseHost(bytesOf(word));
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(EndpointError);
  expect((error as EndpointError).way).toContain(way);
});
