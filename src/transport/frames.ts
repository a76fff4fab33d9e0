import type { Server } from 'socket.io'

/** What an engine writes: its own number for a message and the text, and how it is to be sent. */
interface EnginePacket {
  type: string
  data?: unknown
  options: FrameOptions
}

/** `wsPreEncodedFrame` is the engine's way to be handed a frame that is ready; its types leave it out. */
interface FrameOptions {
  compress?: boolean
  wsPreEncodedFrame?: [Buffer]
}

/** The engine's type for what is a packet of Socket.IO, in the first character of every text. */
const message = '4'

/**
 * Options with which the engine writes this text as one buffer, which is one call of the system without gathering. The
 * same options may be given to many connections: then the text is framed once.
 */
export const framed = (text: string): FrameOptions => ({
  compress: false,
  wsPreEncodedFrame: [textFrame(message + text)],
})

/** Has everything that is sent framed so, acknowledgments above all. */
export function frameAllMessages(io: Server): void {
  io.engine.on('connection', (connection: { on(event: 'packetCreate', listener: typeof frameMessage): void }) => {
    connection.on('packetCreate', frameMessage)
  })
}

function frameMessage(packet: EnginePacket): void {
  if (packet.type !== 'message' || packet.options.wsPreEncodedFrame || typeof packet.data !== 'string') return
  packet.options = framed(packet.data)
}

/** A whole text message of a server as one unmasked frame (RFC 6455, section 5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(headLength(length) + length)
  frame[0] = 0x81
  if (length < 126) frame[1] = length
  else if (length < 65_536) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, headLength(length))
  return frame
}

function headLength(length: number): number {
  if (length < 126) return 2
  return length < 65_536 ? 4 : 10
}
