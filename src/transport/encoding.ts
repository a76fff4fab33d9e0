import * as parser from 'socket.io-parser'

interface Packet {
  type: number
  nsp: string
  data?: unknown
  id?: number
}

/**
 * The standard encoding of Socket.IO for packets without binary data, of which this server sends none: clients see no
 * difference. What is left out is the search of every payload for binary parts.
 */
class TextEncoder {
  encode({ type, nsp, id, data }: Packet): string[] {
    const head = `${type}${nsp === '/' ? '' : `${nsp},`}${id ?? ''}`
    return [data === undefined ? head : head + JSON.stringify(data)]
  }
}

/** For the `parser` option of the Socket.IO server. */
export const textParser = { ...parser, Encoder: TextEncoder }

/** An event whose payload is JSON already, encoded as {@link TextEncoder} would. */
export const encodedEvent = (event: string, json: string): string =>
  `${parser.PacketType.EVENT}[${JSON.stringify(event)},${json}]`
