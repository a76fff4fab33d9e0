import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A WebSocket client in bytes, for what no well-behaved client does: stop reading, send frames that are none. */
export interface RawSocket {
  socket: Socket
  /** Sends one text frame. */
  send(text: string): void
  /** Settles when this text has come. */
  receives(text: string): Promise<void>
  /** Settles when the connection has ended. */
  closed: Promise<void>
}

const limitMs = 10_000

/** Connects and logs in; settles when the server has said session:ready. */
export async function openRawSocket(url: string, token: string): Promise<RawSocket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  const closed = once(socket, 'close').then(() => {})
  let read = ''
  socket.on('data', (chunk) => {
    read += chunk.toString('latin1')
  })
  async function receives(text: string): Promise<void> {
    const signal = AbortSignal.timeout(limitMs)
    while (!read.includes(text)) await once(socket, 'data', { signal })
  }
  const send = (text: string) => void socket.write(frame(text))

  await once(socket, 'connect')
  socket.write(
    [
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
      `Host: ${hostname}:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      '\r\n',
    ].join('\r\n'),
  )
  await receives('101 Switching Protocols')
  send(`40${JSON.stringify({ token })}`)
  await receives('session:ready')
  return { socket, send, receives, closed }
}

/** A masked text frame (RFC 6455, section 5.2). */
function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  assert.ok(payload.length < 65_536)
  const head =
    payload.length < 126
      ? Buffer.from([0x81, 0x80 | payload.length])
      : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff])
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] as number))])
}
