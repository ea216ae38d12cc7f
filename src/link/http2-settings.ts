/**
 * Windows of the control plane: listings of a large tree, and content where there is no data plane, have to fill a long
 * line, and the 64 KiB that HTTP/2 begins with would let one such window pass in each round trip.
 */
export const HTTP2_WINDOW_BYTES = 8 << 20;
export const HTTP2_SETTINGS = { initialWindowSize: HTTP2_WINDOW_BYTES, maxFrameSize: 1 << 20 } as const;
