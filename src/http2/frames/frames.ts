/**
 * The numbers of HTTP/2 frames (RFC 9113 §4, §6 and §7).
 *
 *   frame := length:u24  type:u8  flags:u8  stream:u31  payload[length]
 */

/** Length, type, flags and stream id. */
export const frameHeadBytes = 9;
/** The default and least SETTINGS_MAX_FRAME_SIZE. The server sends and accepts no larger payload. */
export const framePayloadMax = 16_384;

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** The largest flow-control window, bytes (RFC 9113 §6.9.1). */
export const windowMax = 0x7fff_ffff;
/** The size of every flow-control window before SETTINGS and WINDOW_UPDATE change it, bytes (RFC 9113 §6.9.2). */
export const initialWindow = 65_535;
