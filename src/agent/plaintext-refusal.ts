/**
 * What a caller hears who speaks plaintext to a port that speaks TLS only: in HTTP/1.1 a readable 400, in HTTP/2 a
 * GOAWAY that carries the same sentence. Pure.
 *
 * Never: serves anything.
 */

const sentence = "this port speaks TLS with client certificates, use https and a certificate";

/** The bytes to send before the connection is ended. */
export function plaintextRefusal(spoken: "http1" | "h2c"): Buffer {
  return spoken === "http1" ? http1Refusal() : http2Refusal();
}

function http1Refusal(): Buffer {
  const body = `${JSON.stringify({ code: "invalid_argument", message: sentence, written: "no" })}\n`;
  return Buffer.from(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** SETTINGS, then GOAWAY with INADEQUATE_SECURITY (RFC 9113, section 7) and the sentence as debug data. */
function http2Refusal(): Buffer {
  const debug = Buffer.from(sentence);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const goaway = Buffer.alloc(9 + 8);
  goaway.writeUIntBE(8 + debug.length, 0, 3);
  goaway[3] = 7;
  goaway.writeUInt32BE(0xc, 13);
  return Buffer.concat([settings, goaway, debug]);
}
